//! The command line.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::effort::{self, Effort};
use crate::rows::Row;
use crate::sections::{self, SECTIONS, Section};

/// What somebody wants to know, and how well.
pub(crate) struct Options {
    pub(crate) effort: Effort,
    pub(crate) sections: Vec<&'static Section>,
    pub(crate) rows: Vec<&'static Row>,
    pub(crate) directory: PathBuf,
    /// Whether the page is written: a part of the measurements must not replace all of them.
    pub(crate) publish: bool,
}

/// Reads the command line; where it is wrong, or asks for help, the program ends here.
pub(crate) fn read() -> Options {
    options(&command().get_matches())
}

fn options(matches: &ArgMatches) -> Options {
    let names = |id| matches.get_many::<String>(id).into_iter().flatten().collect::<Vec<_>>();
    let (sections, rows) = (names("section"), names("row"));
    let wanted_row = |row: &Row| holds(&rows, row.name);
    let wanted_section = |section: &&Section| {
        let of_named_rows = sections.is_empty() && !rows.is_empty();
        if of_named_rows {
            section.rows.iter().any(wanted_row)
        } else {
            holds(&sections, section.name)
        }
    };
    Options {
        effort: effort(matches),
        sections: SECTIONS.iter().filter(wanted_section).collect(),
        rows: sections::rows().filter(|row| wanted_row(row)).collect(),
        directory: matches.get_one::<PathBuf>("directory").expect("it has a default").clone(),
        publish: sections.is_empty() && rows.is_empty(),
    }
}

/// Who names nothing wants everything.
fn holds(names: &[&String], name: &str) -> bool {
    names.is_empty() || names.iter().any(|wanted| *wanted == name)
}

fn effort(matches: &ArgMatches) -> Effort {
    let effort = if matches.get_flag("quick") { effort::QUICK } else { effort::FULL };
    match matches.get_one::<u64>("rounds") {
        Some(&rounds) => effort.with_rounds(rounds as usize),
        None => effort,
    }
}

fn command() -> Command {
    let section_names = PossibleValuesParser::new(SECTIONS.iter().map(|section| section.name));
    let row_names = PossibleValuesParser::new(sections::rows().map(|row| row.name));
    Command::new("compare")
        .about("Measures redlet beside the real servers, and writes the page of measurements")
        .after_help(
            "REDLET_BIN names redlet's executable; without it, target/release/redlet is measured.\n\
             'scripts/peers install' brings the real servers and the load generator.",
        )
        .arg(
            Arg::new("quick")
                .long("quick")
                .action(ArgAction::SetTrue)
                .help("Ends within minutes; its figures are rougher"),
        )
        .arg(
            Arg::new("rounds")
                .long("rounds")
                .value_name("N")
                .value_parser(value_parser!(u64).range(1..))
                .help("How often every server has its turn, but fewer times where a round takes minutes"),
        )
        .arg(
            Arg::new("section")
                .long("only")
                .value_name("SECTION,...")
                .value_delimiter(',')
                .value_parser(section_names)
                .help("These sections alone, without writing the page"),
        )
        .arg(
            Arg::new("directory")
                .long("out")
                .value_name("DIR")
                .default_value(crate::servers::root().join("docs").into_os_string())
                .value_parser(value_parser!(PathBuf))
                .help("Where BENCHMARKS.md and the directory of its charts are written"),
        )
        .arg(
            Arg::new("row")
                .value_name("ROW")
                .num_args(0..)
                .value_parser(row_names)
                .help("These rows of the tables of commands alone, without writing the page"),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &[&str]) -> Options {
        options(&command().try_get_matches_from([&["compare"], line].concat()).unwrap())
    }

    fn names(options: &Options) -> Vec<&str> {
        options.sections.iter().map(|section| section.name).collect()
    }

    #[test]
    fn only_a_whole_run_writes_the_page() {
        let whole = read(&["--quick"]);
        assert!(whole.publish);
        assert_eq!(whole.sections.len(), SECTIONS.len());
        assert_eq!(whole.rows.len(), sections::rows().count());
        assert!(!read(&["--only", "memory"]).publish);
        assert!(!read(&["GET"]).publish);
    }

    #[test]
    fn rows_alone_ask_for_their_section() {
        let options = read(&["GET", "MSET 10"]);
        assert_eq!(names(&options), ["throughput"]);
        assert_eq!(options.rows.len(), 2);
        assert_eq!(names(&read(&["MULTI EXEC 3"])), ["scripts"]);
        assert_eq!(names(&read(&["--only", "memory,growth"])), ["memory", "growth"]);
    }

    #[test]
    fn rounds_can_be_chosen() {
        assert_eq!(read(&["--rounds", "7"]).effort.rounds, 7);
        assert!(command().try_get_matches_from(["compare", "--rounds", "0"]).is_err());
    }
}
