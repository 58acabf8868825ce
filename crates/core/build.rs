//! Compiles `proto/` to Rust with protox, so that no protoc has to be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=../../proto");
    let schema = protox::compile(
        ["swarm/v1/manifest.proto", "swarm/v1/control.proto", "swarm/v1/coordinator.proto"],
        ["../../proto"],
    )?;
    prost_build::Config::new().bytes(["."]).compile_fds(schema)?;
    Ok(())
}
