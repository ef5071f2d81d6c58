//! Which section may follow which.

use super::kind::Kind;

/// Where in a file a reader of a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Order {
    /// Nothing was read.
    #[default]
    Begin,
    /// A generation begins; at its very beginning the file may end instead.
    Generation { may_end: bool },
    /// At least one manifest was read.
    Manifests,
    /// Images are known, blocks come.
    Body,
    /// A chunk list was read, its block comes.
    Block,
    /// The part table was read.
    End,
    /// The last part is through.
    Done,
}

impl Order {
    /// What follows `kind`, or what was expected instead of it.
    pub(super) fn after(self, kind: Kind) -> Result<Self, &'static str> {
        match (self, kind) {
            (_, Kind::Unknown(_)) => Ok(self),
            (Self::Begin, Kind::Header) => Ok(Self::Generation { may_end: false }),
            (Self::Generation { .. } | Self::Manifests, Kind::Manifest) => Ok(Self::Manifests),
            (Self::Manifests, Kind::Images) => Ok(Self::Body),
            (Self::Body, Kind::Chunks) => Ok(Self::Block),
            (Self::Block, Kind::Block) | (Self::Body, Kind::Table) => Ok(Self::Body),
            (Self::Body, Kind::Parts) => Ok(Self::End),
            (Self::Body, Kind::Footer) => Ok(Self::Generation { may_end: true }),
            (Self::End, Kind::Footer) => Ok(Self::Done),
            _ => Err(self.expected()),
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Begin => "a header",
            Self::Generation { may_end: false } => "a manifest",
            Self::Generation { may_end: true } => "a manifest or the end of the file",
            Self::Manifests => "a manifest or an image table",
            Self::Body => "a chunk list, a block table, a part table or a footer",
            Self::Block => "a block",
            Self::End => "a footer",
            Self::Done => "the end of the file",
        }
    }

    /// Whether the file may end here.
    pub(super) fn may_end(self) -> bool {
        matches!(self, Self::Generation { may_end: true } | Self::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_ends_only_after_a_footer() {
        let file = [
            Kind::Header,
            Kind::Manifest,
            Kind::Images,
            Kind::Chunks,
            Kind::Unknown(70),
            Kind::Block,
            Kind::Table,
            Kind::Footer,
        ];
        let mut order = Order::default();
        for kind in file {
            assert!(!order.may_end(), "before {kind}");
            order = order.after(kind).unwrap();
        }
        assert!(order.may_end());
        assert!(order.after(Kind::Manifest).is_ok(), "an append");
        assert!(order.after(Kind::Block).is_err());
    }

    #[test]
    fn every_pair_of_swapped_neighbours_is_noticed() {
        let file = [
            Kind::Header,
            Kind::Manifest,
            Kind::Images,
            Kind::Chunks,
            Kind::Block,
            Kind::Table,
            Kind::Parts,
            Kind::Footer,
        ];
        for at in 1..file.len() {
            let mut swapped = file;
            swapped.swap(at - 1, at);
            let end = swapped
                .iter()
                .try_fold(Order::default(), |order, kind| order.after(*kind));
            assert!(end.is_err(), "{swapped:?}");
        }
    }
}
