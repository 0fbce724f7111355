#include "apps/sample_picture.h"

#include "data/picture.h"

namespace psanet::apps {

data::Image sample_picture(const data::Dataset& dataset, const data::Sample& sample, const data::LabelMap& prediction) {
  data::LabelledImage labelled = data::load_sample(dataset, sample);
  std::vector<std::string> titles;
  std::vector<data::LabelMap> maps;
  if (!labelled.label.labels.empty()) {
    titles.emplace_back("truth");
    maps.push_back(std::move(labelled.label));
  }
  titles.emplace_back("prediction");
  maps.push_back(prediction);
  return data::label_sheet(dataset, labelled.image, titles, maps);
}

}  // namespace psanet::apps
