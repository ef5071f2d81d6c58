//! An image in a single file, and every section and table of it.

use anyhow::Result;
use image_format::file::{
    FileId, HEADER_LENGTH, Kind, PartHead, PartRow, Section, Target, export, tables,
};
use image_format::{MemoryStore, Share};

use crate::Corpus;

pub(crate) fn make(corpus: &Corpus, store: &MemoryStore) -> Result<()> {
    let share = Share::open(store)?;
    let mut bytes = Vec::new();
    let target = Target::Pipe(&mut bytes);
    export(
        &share,
        &share.images(),
        target,
        FileId([7; 16]),
        &mut |_| (),
    )?;
    corpus.put("mim_stream", "one-image", &bytes)?;
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let section = Section::decode(rest)?;
        let start = usize::try_from(HEADER_LENGTH)?;
        let end = usize::try_from(section.total())?;
        let (header, payload) = (&rest[..start], &rest[start..end]);
        let name = format!("{:02}-{}", section.number, section.kind).replace(' ', "-");
        corpus.put("mim_section", &name, header)?;
        match section.kind {
            Kind::Footer => corpus.put("mim_footer", "footer", payload)?,
            Kind::Images | Kind::Chunks | Kind::Header => {
                corpus.put("mim_tables", &name, payload)?;
            }
            _ => {}
        }
        rest = &rest[end..];
    }
    let (part, offset) = (2, 5000);
    corpus.put(
        "mim_tables",
        "part-head",
        &PartHead { part, offset }.encode(),
    )?;
    let (length, hash) = (9000, [6; 32]);
    let rows = [PartRow { length, hash }; 2];
    corpus.put("mim_tables", "parts", &tables::encode_parts(&rows))
}
