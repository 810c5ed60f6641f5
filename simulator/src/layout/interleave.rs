//! Slots of several images in a ciphertext: slot `s` of image `i` of `k` is slot `s * k + i`.

use crate::{Error, Result};

/// Slot vectors of `images` images at once. `each` has those of up to so many images, of `slots` slots, `[image][ciphertext]`;
/// places of images that there are not hold zeros.
///
/// # Errors
/// [`Error::Argument`] for no image or more than `images`, and for vectors of other numbers than those of the first.
pub fn interleave(each: Vec<Vec<Vec<f64>>>, images: usize) -> Result<Vec<Vec<f64>>> {
    if each.is_empty() || each.len() > images {
        let expected = format!("1 to {images}, as many as a ciphertext has");
        return Err(Error::argument("number of images", each.len(), expected));
    }
    if images == 1 {
        return Ok(each.into_iter().next().unwrap_or_default());
    }
    let mut all: Vec<Vec<f64>> =
        each[0].iter().map(|slots| vec![0.0; slots.len() * images]).collect();
    for (i, image) in each.iter().enumerate() {
        if image.len() != all.len() {
            return Err(Error::argument("number of slot vectors", image.len(), all.len()));
        }
        for (to, from) in all.iter_mut().zip(image) {
            if to.len() != from.len() * images {
                let expected = to.len() / images;
                return Err(Error::argument("length of a slot vector", from.len(), expected));
            }
            to.iter_mut().skip(i).step_by(images).zip(from).for_each(|(to, from)| *to = *from);
        }
    }
    Ok(all)
}

/// The slot vectors of image number `image` of `images`.
pub fn of_image(all: &[Vec<f64>], image: usize, images: usize) -> Vec<Vec<f64>> {
    all.iter().map(|slots| slots.iter().skip(image).step_by(images).copied().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_come_apart_as_they_were() {
        let image = |i: usize| vec![vec![i as f64, 0.5], vec![-1.0, 10.0 * i as f64]];
        for images in [1, 2, 4] {
            let each: Vec<_> = (1..=images).map(image).collect();
            let all = interleave(each.clone(), images).unwrap();
            assert!(all.len() == 2 && all.iter().all(|slots| slots.len() == 2 * images));
            for (i, one) in each.iter().enumerate() {
                assert_eq!(of_image(&all, i, images), *one);
                // Slot 1 of image i.
                assert_eq!(all[0][images + i], 0.5);
            }
        }
        let partly = interleave(vec![image(7)], 4).unwrap();
        assert_eq!(of_image(&partly, 0, 4), image(7));
        assert_eq!(of_image(&partly, 3, 4), vec![vec![0.0; 2]; 2]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let one = vec![vec![0.0; 4]];
        let told = |each, images| interleave(each, images).unwrap_err().to_string();
        assert!(told(vec![], 2).contains("number of images is 0, expected 1 to 2"));
        assert!(told(vec![one.clone(); 3], 2).contains("number of images is 3"));
        assert!(told(vec![one.clone(), vec![]], 2).contains("number of slot vectors is 0"));
        assert!(told(vec![one, vec![vec![0.0; 2]]], 2).contains("length of a slot vector is 2"));
    }
}
