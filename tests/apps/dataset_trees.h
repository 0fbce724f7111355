// Miniature data sets in the layouts that their authors hand out.
#pragma once

#include <filesystem>

namespace psanet::tests {

/// ADEChallengeData2016/: 3 training and 2 validation images, labels 0..150.
void make_ade20k(const std::filesystem::path& root);

/// VOCdevkit/VOC2012/ with 2 training, 2 validation and 1 test image, palette labels with the border 255, and the
/// images of the SBD below: 2007_000001, _2 (train), _3, _4 (val), _5 (test), 2008_000011, _12, _13 (SBD only).
void make_voc2012(const std::filesystem::path& root);
/// benchmark_RELEASE/dataset/ with cls/*.mat: 2007_000001 and 2007_000003 (VOC's own, too), 2008_000011, _12, _13.
void make_sbd(const std::filesystem::path& root);

/// leftImg8bit/ and gtFine/ with 34 labelIds: train bonn 2, ulm 1; val 2; test 1.
void make_cityscapes(const std::filesystem::path& root);

/// train/, trainannot/, ... with 3 / 2 / 2 frames (SegNet's tutorial).
void make_camvid_segnet(const std::filesystem::path& root);
/// images/train/, labels/train/, ... with the same.
void make_camvid_folders(const std::filesystem::path& root);

}  // namespace psanet::tests
