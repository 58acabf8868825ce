//! Compiles the schema of libraries to Rust with protox, so that no protoc has to be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=../../proto/swarm/v1/library.proto");
    let schema = protox::compile(["swarm/v1/library.proto"], ["../../proto"])?;
    prost_build::Config::new().bytes(["."]).compile_fds(schema)?;
    Ok(())
}
