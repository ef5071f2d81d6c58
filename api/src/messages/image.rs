//! What is said about images.

use image_format::ImageRecord;
use serde::{Deserialize, Serialize};

/// The images of the share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageList {
    /// Newest last.
    pub images: Vec<ImageRecord>,
}
