//! `spencnn merge`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use simulator::search::MergedJournal;

use crate::process::{files, output};

/// Put the journals of the shards of a search together
///
/// Each of `spencnn search --shard I/N --journal FILE` evaluates its part of the configurations. From the merged journal,
/// `spencnn search --journal MERGED`, with the same options but for --shard, gives what one search without shards would have
/// given, and evaluates nothing anew. Points are sorted, so that the same points give the same file.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spencnn search --shard 1/2 --journal one.jsonl & spencnn search --shard 2/2 --journal two.jsonl; wait
  spencnn merge one.jsonl two.jsonl --out all.jsonl
  spencnn search --journal all.jsonl --out best.toml")]
pub struct MergeArgs {
    /// Journals of shards
    #[arg(required = true, value_name = "FILE")]
    journals: Vec<PathBuf>,
    /// Where to write the merged journal (JSON lines)
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl MergeArgs {
    /// Runs the sub-command.
    pub fn execute(self) -> Result<()> {
        files::check_writable(&self.out)?;
        let mut merged = MergedJournal::default();
        for path in &self.journals {
            merged.add(path)?;
        }
        files::write_atomically(&self.out, merged.lines()?.as_bytes())?;
        let (points, journals) = (merged.len(), self.journals.len());
        output::results(&format!(
            "{points} points of {journals} journals in {}\n",
            self.out.display()
        ))
    }
}
