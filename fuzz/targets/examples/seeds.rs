//! Writes every target's genuine inputs where cargo-fuzz begins: `seeds FOLDER` fills `FOLDER/<target>/`.

use sealed_visit_fuzz_targets::TARGETS;
use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or_else(|| std::io::Error::other("usage: seeds FOLDER"))?;
    for target in TARGETS {
        let corpus = folder.join(target.name);
        std::fs::create_dir_all(&corpus)?;
        for (n, seed) in (target.seeds)().iter().enumerate() {
            std::fs::write(corpus.join(format!("seed-{n:04}")), seed)?;
        }
    }
    Ok(())
}
