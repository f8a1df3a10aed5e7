//! Services of other people's suites, on `serving` and, with `--stock`, on tonic's own server.
//!
//! `suite-service testing` serves grpc.testing.TestService until it is ended, and prints where.
//! `suite-service conformance` serves connectrpc.conformance.v1.ConformanceService as its runner asks for on
//! standard input. `suite-service calling` is its client: it makes the calls that standard input asks for. build.sh builds it.

use std::process::ExitCode;

use clap::Parser;
use serving::{args::ServerArgs, tls::TlsArgs};

mod asked;
mod calling;
mod conformance;
mod flags;
mod framed;
mod load;
mod on_serving;
mod stock;
mod testing;

// The contracts have more than the services.
#[allow(dead_code, unused_imports)]
mod contracts {
    include!(concat!(env!("OUT_DIR"), "/contracts.rs"));
}

/// Bytes of a message, unless the suite asks for another limit: gRPC's own default
const MESSAGE: usize = 4 * 1024 * 1024;

#[derive(Parser)]
enum Program {
    Testing(Args),
    Conformance(Args),
    Calling,
}

#[derive(Clone, Copy, Debug)]
enum Suite {
    Testing,
    Conformance,
}

#[derive(clap::Args)]
struct Args {
    /// Serve on tonic's own server
    #[arg(long)]
    stock: bool,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    tls: TlsArgs,
}

/// The settings that a service is served with.
struct Wanted {
    /// Bytes of a message.
    limit: usize,
    tls: TlsArgs,
    /// The question of the conformance runner, if it started this.
    asked: Option<asked::Asked>,
}

impl Wanted {
    /// Says where the service listens.
    fn announce(&self, port: u16) -> anyhow::Result<()> {
        match &self.asked {
            Some(asked) => asked.answer(port),
            None => {
                serving::process::announce(&format!("gRPC on 127.0.0.1:{port}"));
                Ok(())
            }
        }
    }
}

fn main() -> anyhow::Result<ExitCode> {
    let (suite, args) = match Program::parse() {
        Program::Testing(args) => (Suite::Testing, args),
        Program::Conformance(args) => (Suite::Conformance, args),
        Program::Calling => {
            serving::client::block_on(calling::run())?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    let Args { stock, server, tls } = args;
    let files = tempfile::tempdir()?;
    let wanted = match suite {
        Suite::Testing => Wanted {
            limit: MESSAGE,
            tls,
            asked: None,
        },
        Suite::Conformance => asked::Asked::read()?.wanted(tls, files.path())?,
    };
    if stock {
        stock::serve(suite, &server, &wanted)?;
        return Ok(ExitCode::SUCCESS);
    }
    Ok(on_serving::serve(suite, &server, &wanted))
}
