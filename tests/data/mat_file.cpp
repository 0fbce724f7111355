#include "data/mat_file.h"

#include "data/error.h"
#include "data/file_bytes.h"
#include "data/prepare/sbd.h"
#include "tests/data/made_up.h"
#include "tests/support/mat_writer.h"
#include "tests/support/temporary_folder.h"

using namespace psanet::data;
using namespace psanet::tests;

namespace {

/// 5 rows of 7: every value differs from its neighbours, so that swapped rows and columns show.
MatBytes seven_by_five() {
  MatBytes labels(35);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = std::uint8_t(i * 11 % 21);
  return labels;
}

std::string complaint(const MatBytes& bytes, const char* variable = "GTcls", const char* field = "Segmentation") {
  return message_of<DataError>([&] { decode_mat_matrix(bytes, "a.mat", variable, field); });
}

}  // namespace

TEST_CASE("the segmentation of an SBD file is read, compressed or not and in both byte orders") {
  const MatBytes labels = seven_by_five();
  for (const bool big : {false, true}) {
    for (const bool compressed : {false, true}) {
      CAPTURE(big, compressed);
      const MatMatrix m =
          decode_mat_matrix(MatWriter(big).sbd(5, 7, labels, compressed), "a.mat", "GTcls", "Segmentation");
      CHECK(m.rows == 5);
      CHECK(m.columns == 7);
      CHECK(m.values == std::vector<double>(labels.begin(), labels.end()));
    }
  }
}

TEST_CASE("a MAT matrix may store its numbers in any type, and stand behind other variables") {
  const MatWriter w;
  const MatBytes file = w.file({w.bytes_matrix(1, 2, "first", {1, 2}),
                                w.compressed(w.matrix(6, 2, 1, "second", {w.element(9, w.raw<double>({-1.5, 7}))})),
                                w.matrix(6, 1, 3, "third", {w.element(3, w.raw<std::int16_t>({-3, 400, 0}))}),
                                w.matrix(7, 1, 2, "fourth", {w.element(7, w.raw<float>({0.5f, 2}))})});
  CHECK(decode_mat_matrix(file, "a.mat", "first").values == std::vector<double>{1, 2});
  CHECK(decode_mat_matrix(file, "a.mat", "second").values == std::vector<double>{-1.5, 7});
  CHECK(decode_mat_matrix(file, "a.mat", "third").values == std::vector<double>{-3, 400, 0});
  CHECK(decode_mat_matrix(file, "a.mat", "fourth").values == std::vector<double>{0.5, 2});
}

TEST_CASE("MAT files that cannot be used are errors that say why") {
  const MatWriter w;
  const MatBytes good = w.sbd(5, 7, seven_by_five(), false);
  CHECK(complaint(good, "GTinst") == "a.mat: no GTinst.Segmentation in it");
  CHECK(complaint(good, "GTcls", "Segmentatio") == "a.mat: no GTcls.Segmentatio in it");
  CHECK(complaint(good, "GTcls", "Boundaries") ==
        "a.mat: GTcls.Boundaries is not a full matrix of numbers (class 1, 2 dimensions)");
  CHECK(complaint(w.file({w.bytes_matrix(1, 1, "GTcls", {1})})) ==
        "a.mat: GTcls is not a struct, wanted GTcls.Segmentation");
  CHECK(complaint(MatWriter::text("MATLAB 7.3 MAT-file, Platform", 200)) ==
        "a.mat: a MATLAB 7.3 file (HDF5); save it with -v7");
  CHECK(complaint({1, 2, 3}) == "a.mat: not a MATLAB 5 file (3 bytes); copy or download it again");
  CHECK(complaint(w.file({w.matrix(9, 3, 3, "GTcls", {w.element(2, MatBytes(8))})}), "GTcls", "") ==
        "a.mat: the MATLAB file is truncated or damaged (GTcls of 3 x 3 has 8 numbers); copy or download it again");
}

TEST_CASE("a MAT file cut off anywhere, or with a flipped byte, is an error or another matrix but never a crash") {
  for (const bool compressed : {false, true}) {
    const MatBytes good = MatWriter().sbd(5, 7, seven_by_five(), compressed);
    int refused = 0;
    for (std::size_t length = 0; length < good.size(); ++length) {
      try {
        decode_mat_matrix(Bytes(good).first(length), "a.mat", "GTcls", "Segmentation");
      } catch (const DataError&) {
        ++refused;
      }
    }
    // Only what follows the matrix may be missing; inside a compressed element nothing may.
    CHECK(refused >= int(good.size()) - (compressed ? 0 : 120));
    for (std::size_t at = 128; at < good.size(); ++at) {
      for (const int flip : {0x01, 0x80, 0xFF}) {
        MatBytes bad = good;
        bad[at] = std::uint8_t(bad[at] ^ flip);
        try {
          decode_mat_matrix(bad, "a.mat", "GTcls", "Segmentation");
        } catch (const DataError&) {
        }
      }
    }
  }
}

TEST_CASE("SBD annotations with a value that is no class are refused") {
  const TemporaryFolder folder;
  MatBytes labels = seven_by_five();
  write_file_bytes(folder / "a.mat", MatWriter().sbd(5, 7, labels, true));
  CHECK(read_sbd_label(folder / "a.mat", 21).labels == labels);
  labels[9] = 21;
  write_file_bytes(folder / "a.mat", MatWriter().sbd(5, 7, labels, true));
  CHECK(message_of<DataError>([&] { read_sbd_label(folder / "a.mat", 21); }) ==
        (folder / "a.mat").string() + ": GTcls.Segmentation holds 21 at row 1 column 2, wanted a class 0..20");
}
