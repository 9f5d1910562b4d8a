//! `cargo run -p hookswitch-fuzz -- TARGET FILE…`: runs a target on inputs, on any
//! toolchain and with the backtraces of an ordinary build.

use anyhow::{Context, Result, bail};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), files) = (arguments.next(), arguments.collect::<Vec<_>>()) else {
        bail!("which target, on which files? The targets are: {}", names());
    };
    let target = hookswitch_fuzz::target(&name)
        .with_context(|| format!("there is no target {name}; the targets are: {}", names()))?;
    for file in files {
        let data = std::fs::read(&file).with_context(|| format!("{file} cannot be read"))?;
        (target.check)(&data);
        println(&format!("{name} holds for {file}"));
    }
    Ok(())
}

fn names() -> String {
    let names: Vec<_> = hookswitch_fuzz::TARGETS
        .iter()
        .map(|target| target.name)
        .collect();
    names.join(", ")
}

#[allow(clippy::print_stdout)] // This is what the program is for.
fn println(line: &str) {
    println!("{line}");
}
