// The steps of the augmentation on whole images, one after the other: what apply_augmentation() must agree with.
#pragma once

#include "data/augment.h"

namespace psanet::tests {

using FloatPicture = data::ImagePatch;  ///< a whole one: the window is all of it

FloatPicture picture_of(const data::Image& image);
FloatPicture resize_by(const data::Image& image, double factor);
data::LabelMap resize_by(const data::LabelMap& label, double factor);
FloatPicture rotate(const FloatPicture& picture, double degrees, const data::Color& fill);
data::LabelMap rotate(const data::LabelMap& label, double degrees);
FloatPicture blur(const FloatPicture& picture);
FloatPicture mirror(const FloatPicture& picture);
data::LabelMap mirror(const data::LabelMap& label);
/// Offsets count in the padded image.
FloatPicture crop(const FloatPicture& picture, const data::Window& window, const data::Color& fill);
data::LabelMap crop(const data::LabelMap& label, const data::Window& window);
std::vector<float> normalise(const data::Normalisation& how, const FloatPicture& picture);

}  // namespace psanet::tests
