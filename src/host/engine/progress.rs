//! Adds up what the engine says about the layers of a pull.

use std::collections::BTreeMap;

use bollard::models::CreateImageInfo;

use crate::deploy::event::Transfer;

/// The layers of one pull.
#[derive(Debug, Default)]
pub(super) struct Progress {
    layers: BTreeMap<String, Layer>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Layer {
    /// Bytes that are here, and bytes in all where that is known.
    here: u64,
    bytes: u64,
    fetched: bool,
    done: bool,
    /// Bytes that are unpacked: they are not counted, but they are a sign of life.
    unpacked: u64,
}

impl Progress {
    /// Takes one message. Says whether something got on: a pull that only promises to try again does not.
    pub(super) fn take(&mut self, info: &CreateImageInfo) -> bool {
        let (Some(id), Some(status)) = (&info.id, &info.status) else { return false };
        let detail = info.progress_detail.as_ref();
        let number = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok()).unwrap_or(0);
        let (current, total) = detail.map_or((0, 0), |detail| (number(detail.current), number(detail.total)));

        let fresh = Layer::default();
        let before = self.layers.get(id).copied();
        let mut layer = before.unwrap_or(fresh);
        match status.as_str() {
            "Pulling fs layer" | "Waiting" => {}
            "Downloading" => {
                layer.here = current;
                layer.bytes = total.max(current);
            }
            "Verifying Checksum" | "Download complete" => layer.fetch(),
            "Extracting" => {
                layer.fetch();
                layer.unpacked = current;
            }
            "Pull complete" | "Already exists" => {
                layer.fetch();
                layer.done = true;
            }
            status if status.starts_with("Retrying") => {}
            // "Pulling from …" names the tag where others name a layer.
            _ => return false,
        }
        self.layers.insert(id.clone(), layer);
        before != Some(layer)
    }

    /// The sum.
    pub(super) fn transfer(&self) -> Transfer {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Transfer {
            layers_done: count(self.layers.values().filter(|layer| layer.done).count()),
            layers: count(self.layers.len()),
            bytes_done: self.layers.values().map(|layer| layer.here).sum(),
            bytes: self.layers.values().map(|layer| layer.bytes).sum(),
        }
    }

    /// Whether the registry has nothing more to give: what is left is the engine's own work.
    pub(super) fn is_fetched(&self) -> bool {
        !self.layers.is_empty() && self.layers.values().all(|layer| layer.fetched)
    }
}

impl Layer {
    fn fetch(&mut self) {
        self.fetched = true;
        self.here = self.bytes;
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::ProgressDetail;

    use super::*;

    fn message(id: &str, status: &str, current: i64, total: i64) -> CreateImageInfo {
        CreateImageInfo {
            id: Some(id.to_owned()),
            status: Some(status.to_owned()),
            progress_detail: Some(ProgressDetail { current: Some(current), total: Some(total) }),
            ..CreateImageInfo::default()
        }
    }

    #[test]
    fn layers_and_bytes_are_added_up() {
        let mut progress = Progress::default();
        for info in [
            message("v1", "Pulling from shop/api", 0, 0),
            message("a", "Already exists", 0, 0),
            message("b", "Pulling fs layer", 0, 0),
            message("c", "Waiting", 0, 0),
            message("b", "Downloading", 30, 100),
        ] {
            progress.take(&info);
        }
        let transfer = Transfer { layers_done: 1, layers: 3, bytes_done: 30, bytes: 100 };
        assert_eq!(progress.transfer(), transfer);
        assert!(!progress.is_fetched());
        for info in [
            message("c", "Downloading", 10, 10),
            message("b", "Download complete", 0, 0),
            message("c", "Pull complete", 0, 0),
            message("b", "Extracting", 5, 100),
        ] {
            assert!(progress.take(&info));
        }
        assert_eq!(progress.transfer(), Transfer { layers_done: 2, layers: 3, bytes_done: 110, bytes: 110 });
        assert!(progress.is_fetched());
    }

    #[test]
    fn a_promise_to_try_again_is_no_progress() {
        let mut progress = Progress::default();
        assert!(progress.take(&message("a", "Downloading", 10, 100)));
        assert!(!progress.take(&message("a", "Retrying in 5 seconds", 0, 0)));
        assert!(!progress.take(&message("a", "Downloading", 10, 100)));
        assert!(progress.take(&message("a", "Downloading", 11, 100)));
    }
}
