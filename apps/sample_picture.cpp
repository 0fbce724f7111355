#include "apps/sample_picture.h"

#include "data/picture.h"

namespace psanet::apps {

data::Image sample_picture(const data::Dataset& dataset, const data::Sample& sample, const data::LabelMap& prediction) {
  data::LabelledImage labelled = data::load_sample(dataset, sample);
  data::Sheet sheet;
  sheet.column_titles = {"image"};
  sheet.rows = {{std::move(labelled.image)}};
  std::vector<data::LabelMap> maps;
  if (!labelled.label.labels.empty()) {
    sheet.column_titles.emplace_back("truth");
    sheet.rows[0].push_back(data::colourise(labelled.label, dataset));
    maps.push_back(std::move(labelled.label));
  }
  sheet.column_titles.emplace_back("prediction");
  sheet.rows[0].push_back(data::colourise(prediction, dataset));
  maps.push_back(prediction);
  sheet.legend = data::legend_of(dataset, maps);
  return data::draw_sheet(sheet);
}

}  // namespace psanet::apps
