//! How soon does a server answer, and what does it hold before it has any data?

use std::time::Instant;

use crate::Result;
use crate::comparison::Comparison;
use crate::contest::Contest;
use crate::report::Chapter;
use crate::servers::Server;

pub(crate) fn measure(contest: &Contest) -> Result<Chapter> {
    let mut table = Comparison::lower_is_better("Start");
    contest.rounds("startup", contest.effort.launches, |contender| {
        let launched = Instant::now();
        let mut server = Server::launch(contender)?;
        server.wait_for_pong()?;
        table.add("to the first PONG, ms", contender, launched.elapsed().as_secs_f64() * 1e3);
        table.add("resident, MB", contender, server.resident_bytes()? as f64 / 1e6);
        Ok(())
    })?;
    Ok(Chapter {
        title: "Start",
        method: format!(
            "From the start of the process to the first PONG, and the memory that is resident then; medians of {} \
             starts. The time has two further programs in it, for every server alike: taskset, which chooses the core, \
             and a shell, which the real servers are wrapped in.",
            contest.effort.launches
        ),
        tables: vec![table.table(&contest.contenders)],
        charts: Vec::new(),
    })
}
