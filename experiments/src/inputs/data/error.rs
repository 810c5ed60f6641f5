//! What can be wrong with a data folder or a data file.

use std::path::PathBuf;

/// An error of a data loader: what was found, what was expected, what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The folder is not there.
    #[error("data folder {} is not a folder, nor a file; name what holds the data set with --data", folder.display())]
    NoFolder {
        /// The folder named.
        folder: PathBuf,
    },
    /// A file is not there under any of its names.
    #[error("found none of {} in {}; fetch the data set, or name its folder with --data", tried.join(", "), folder.display())]
    NoFile {
        /// The folder named.
        folder: PathBuf,
        /// Names that were tried.
        tried: Vec<String>,
    },
    /// No data set has images of that shape.
    #[error(
        "no data set has images of {channels} x {height} x {width} (MNIST has 1 x 28 x 28, CIFAR-10 3 x 32 x 32), and there are \
         neither arrays (images.npz, images.npy and labels.npy, images.safetensors) nor PNG files of that size; leave out --data \
         to run on synthetic images"
    )]
    Shape {
        /// Channels wanted.
        channels: usize,
        /// Rows wanted.
        height: usize,
        /// Columns wanted.
        width: usize,
    },
    /// A file that could not be read or decompressed.
    #[error("{}: {reason}; is the file complete? `gzip -t` or `xz -t` tells", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// A file whose contents are not what its name says.
    #[error("{}: {what} is {found}, expected {expected}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The quantity in question.
        what: &'static str,
        /// Value found.
        found: String,
        /// Value expected.
        expected: String,
    },
}

impl DataError {
    /// A [`DataError::Read`].
    pub(super) fn read(path: &std::path::Path, reason: &std::io::Error) -> Self {
        Self::Read { path: path.to_owned(), reason: reason.to_string() }
    }

    /// A [`DataError::Format`] from displayable parts.
    pub(super) fn format(
        path: &std::path::Path,
        what: &'static str,
        found: impl ToString,
        expected: impl ToString,
    ) -> Self {
        Self::Format {
            path: path.to_owned(),
            what,
            found: found.to_string(),
            expected: expected.to_string(),
        }
    }
}
