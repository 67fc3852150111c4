//! Curves: the cost at several sizes, with the exponent of its growth and a picture. Nothing may
//! grow more than expected: a cost is flat, or linear where more work is done.
//!
//! The modules in reading order, each of which uses only those below it.

mod applications;
mod database_size;
mod grants;
mod housekeeping;
mod snapshot;
mod threads;
mod users;

mod idle;
mod reporters;

mod followers;
mod online;

mod housekeeping_rows;

mod curve_scale;
mod picture;

mod curve;

mod power_law;

use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::system;
use curve::Curve;
use curve_scale::CurveScale;

pub(crate) const USAGE: &str =
    "presence-bench curves [CURVE…] [--json FILE] [--pictures DIRECTORY] [--smoke]";

/// Runs with these arguments. The exit code says whether all curves grow as expected.
pub(crate) async fn run(arguments: &[&str]) -> ExitCode {
    let Some(options) = CurveOptions::of(arguments) else {
        eprintln!("usage: {USAGE}\ncurves, or all but the last one:\n{}", CurveGroup::list());
        return ExitCode::from(2);
    };
    let mut curves = Vec::new();
    for group in &options.groups {
        eprintln!("measuring {}", group.words().0);
        for curve in group.measure(&options.scale).await {
            print_points(&curve);
            curves.push(curve);
        }
    }
    print_table(&curves);
    options.write(&curves);
    let worse: Vec<&str> =
        curves.iter().filter(|it| !it.is_as_expected()).map(|it| it.name).collect();
    match (&worse[..], options.scale.judges) {
        ([], _) => ExitCode::SUCCESS,
        (worse, true) => {
            println!("worse than expected: {}", worse.join(", "));
            ExitCode::FAILURE
        }
        (worse, false) => {
            let worse = worse.join(", ");
            println!("worse than expected, without a verdict in so short a run: {worse}");
            ExitCode::SUCCESS
        }
    }
}

/// Curves that are measured together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CurveGroup {
    Users,
    Connections,
    Grants,
    Applications,
    Snapshot,
    Threads,
    Housekeeping,
    Database,
    LargeDatabase,
}

impl CurveGroup {
    /// The curves of a run without names.
    const USUAL: [Self; 8] = [
        Self::Users,
        Self::Connections,
        Self::Grants,
        Self::Applications,
        Self::Snapshot,
        Self::Threads,
        Self::Housekeeping,
        Self::Database,
    ];

    fn all() -> impl Iterator<Item = Self> {
        Self::USUAL.into_iter().chain([Self::LargeDatabase])
    }

    fn named(name: &str) -> Option<Self> {
        Self::all().find(|group| group.words().0 == name)
    }

    /// Lists the names, each with a description.
    fn list() -> String {
        let line = |group: Self| {
            let (name, what) = group.words();
            format!("  {name:<14}  {what}\n")
        };
        Self::all().map(line).collect()
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Users => ("users", "a change by the number of users who are online"),
            Self::Connections => ("connections", "a change by the number of connected users"),
            Self::Grants => ("grants", "a change by the number of grants of the user"),
            Self::Applications => ("applications", "a change by the number of Applications"),
            Self::Snapshot => ("snapshot", "a snapshot by the number of users who are not offline"),
            Self::Threads => ("threads", "a change with one and with two worker threads"),
            Self::Housekeeping => ("housekeeping", "the removal of what expires in a day"),
            Self::Database => ("database", "calls by the size of the database"),
            Self::LargeDatabase => ("large-database", "the same, up to ten million grants"),
        }
    }

    async fn measure(self, scale: &CurveScale) -> Vec<Curve> {
        match self {
            Self::Users => users::measure_online(scale).await,
            Self::Connections => users::measure_connected(scale).await,
            Self::Grants => grants::measure(scale).await,
            Self::Applications => applications::measure(scale).await,
            Self::Snapshot => snapshot::measure(scale).await,
            Self::Threads => threads::measure(scale).await,
            Self::Housekeeping => housekeeping::measure(scale).await,
            Self::Database => database_size::measure(scale).await,
            Self::LargeDatabase => database_size::measure_large(scale).await,
        }
    }
}

/// The curves to measure, and the places of the results.
struct CurveOptions {
    groups: Vec<CurveGroup>,
    json: Option<String>,
    pictures: Option<String>,
    scale: CurveScale,
}

impl CurveOptions {
    fn of(arguments: &[&str]) -> Option<Self> {
        let mut options =
            Self { groups: Vec::new(), json: None, pictures: None, scale: CurveScale::full() };
        let mut arguments = arguments.iter().copied();
        while let Some(argument) = arguments.next() {
            match argument {
                "--json" => options.json = Some(arguments.next()?.to_owned()),
                "--pictures" => options.pictures = Some(arguments.next()?.to_owned()),
                "--smoke" => options.scale = CurveScale::smoke(),
                name => options.groups.push(CurveGroup::named(name)?),
            }
        }
        if options.groups.is_empty() {
            options.groups.extend(CurveGroup::USUAL);
        }
        Some(options)
    }

    /// Writes the results as JSON and as pictures, if they have a place.
    fn write(&self, curves: &[Curve]) {
        if let Some(file) = &self.json {
            let all: Vec<Value> = curves.iter().map(Curve::to_json).collect();
            let report = json!({"machine": system::describe(), "curves": all});
            std::fs::write(file, serde_json::to_string_pretty(&report).unwrap() + "\n").unwrap();
        }
        if let Some(directory) = &self.pictures {
            std::fs::create_dir_all(directory).unwrap();
            for curve in curves {
                let file = Path::new(directory).join(format!("{}.svg", curve.name));
                std::fs::write(file, picture::draw(curve)).unwrap();
            }
        }
    }
}

fn print_points(curve: &Curve) {
    println!("{}: {} by {}, {}", curve.name, curve.what, curve.size, curve.unit);
    for point in &curve.points {
        let rounds: Vec<String> = point.costs.iter().map(|cost| format!("{cost:.2}")).collect();
        println!("  {:>9} {:>12.2}   ({})", point.size, point.cost(), rounds.join(" "));
    }
}

fn print_table(curves: &[Curve]) {
    println!("\n| curve | unit | from | to | growth | at last | expected | verdict |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for curve in curves {
        let end = |point: &curve::CurvePoint| format!("{:.3} at {}", point.cost(), point.size);
        let (from, to) = curve.ends().map(|(first, last)| (end(first), end(last))).unwrap();
        let at_last = curve.exponent_at_last().map_or("–".to_owned(), |it| format!("{it:.2}"));
        println!(
            "| {}: {} by {} | {} | {from} | {to} | {} | {at_last} | {} | {} |",
            curve.name,
            curve.what,
            curve.size,
            curve.unit,
            curve.growth(),
            curve.expectation(),
            curve.verdict()
        );
    }
}
