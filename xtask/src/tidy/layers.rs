// SPDX-License-Identifier: AGPL-3.0-or-later
//! The tables of ARCHITECTURE.md against the manifests.
//!
//! A table is found by the comment `<!-- tidy: NAME -->` above it:
//! - `layers`: layer, crate, the crates of the workspace that it may depend on;
//! - `owners`: a crate from outside, and the only crates that may name it;
//! - `never`: a program, and crates from outside that must not be linked into it.

use super::Problem;
use crate::project::Project;
use std::collections::{BTreeMap, BTreeSet};

const DOCUMENT: &str = "ARCHITECTURE.md";

/// What a manifest says, reduced to what is compared.
struct Manifest<'a> {
    name: &'a str,
    dependencies: &'a [String],
    dev_dependencies: &'a [String],
}

/// Compares.
pub(super) fn check(project: &Project, document: &str) -> Vec<Problem> {
    let manifests: Vec<Manifest<'_>> = project
        .packages
        .iter()
        .map(|package| Manifest {
            name: &package.name,
            dependencies: &package.dependencies,
            dev_dependencies: &package.dev_dependencies,
        })
        .collect();
    compare(&manifests, document)
}

/// A row: the line it is in, and its cells without backticks.
type Row = (usize, Vec<String>);

fn table(document: &str, name: &str) -> Option<Vec<Row>> {
    let mark = format!("<!-- tidy: {name} -->");
    let start = document.lines().position(|line| line.trim() == mark)?;
    let rows = document
        .lines()
        .enumerate()
        .skip(start + 1)
        .skip_while(|(_, line)| line.trim().is_empty())
        .take_while(|(_, line)| line.starts_with('|'))
        // The header and the line under it.
        .skip(2)
        .map(|(number, line)| {
            let cells = line.trim().trim_matches('|').split('|');
            (number + 1, cells.map(|cell| cell.trim().to_owned()).collect())
        })
        .collect();
    Some(rows)
}

/// The words in backticks.
fn names(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

fn compare(manifests: &[Manifest<'_>], document: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut required = |name| {
        table(document, name).unwrap_or_else(|| {
            problems.push(Problem::new(DOCUMENT, 0, format!("has no table `<!-- tidy: {name} -->`")));
            Vec::new()
        })
    };
    let (layers, owners, never) = (required("layers"), required("owners"), required("never"));
    compare_layers(manifests, &layers, &mut problems);
    compare_owners(manifests, &owners, &mut problems);
    compare_never(manifests, &never, &mut problems);
    problems
}

fn compare_layers(manifests: &[Manifest<'_>], rows: &[Row], problems: &mut Vec<Problem>) {
    let mut layers = BTreeMap::new();
    for (line, cells) in rows {
        let Some(name) = cells.get(1).and_then(|cell| names(cell).first().copied()) else {
            problems.push(Problem::new(DOCUMENT, *line, "a row has a layer, a crate, and what it may use"));
            continue;
        };
        layers.insert(name, (cells[0].as_str(), *line));
    }
    let allowed: BTreeMap<&str, BTreeSet<&str>> = rows
        .iter()
        .filter_map(|(_, cells)| {
            Some((*names(cells.get(1)?).first()?, names(cells.get(2)?).into_iter().collect()))
        })
        .collect();

    let ours: BTreeSet<&str> = manifests.iter().map(|manifest| manifest.name).collect();
    for (name, (_, line)) in &layers {
        if !ours.contains(name) {
            problems.push(Problem::new(DOCUMENT, *line, format!("there is no crate `{name}`")));
        }
    }
    for (name, uses) in &allowed {
        let Some((layer, line)) = layers.get(name) else { continue };
        for used in uses {
            match layers.get(used) {
                None => problems.push(Problem::new(DOCUMENT, *line, format!("`{used}` is not in the table"))),
                Some((below, _)) if !is_below(below, layer) => problems.push(Problem::new(
                    DOCUMENT,
                    *line,
                    format!(
                        "`{name}` (layer {layer}) may not use `{used}` (layer {below}): not a layer below"
                    ),
                )),
                Some(_) => {}
            }
        }
    }
    for manifest in manifests {
        let Some(uses) = allowed.get(manifest.name) else {
            problems.push(Problem::new(
                DOCUMENT,
                0,
                format!("`{}` is not in the table of layers", manifest.name),
            ));
            continue;
        };
        let both = manifest.dependencies.iter().chain(manifest.dev_dependencies);
        let used: BTreeSet<&str> = both.map(String::as_str).filter(|name| ours.contains(name)).collect();
        let line = layers.get(manifest.name).map_or(0, |(_, line)| *line);
        for name in used.difference(uses) {
            let text = format!("`{}` depends on `{name}`, which the table does not allow", manifest.name);
            problems.push(Problem::new(DOCUMENT, line, text));
        }
        for name in uses.difference(&used) {
            let text = format!("`{}` does not depend on `{name}` any more", manifest.name);
            problems.push(Problem::new(DOCUMENT, line, text));
        }
    }
}

/// Whether a crate of the layer `above` may use one of the layer `below`.
fn is_below(below: &str, above: &str) -> bool {
    match (below.parse::<u8>(), above.parse::<u8>()) {
        // The contracts share their ids; Cargo sees to it that they do so in one direction.
        (Ok(0), Ok(0)) => true,
        (Ok(below), Ok(above)) => below < above,
        // Guests know the contracts and each other, tests know everything but each other.
        (Ok(below), Err(_)) => above != "guest" || below == 0,
        (Err(_), Ok(_)) => false,
        (Err(_), Err(_)) => below == "guest",
    }
}

fn compare_owners(manifests: &[Manifest<'_>], rows: &[Row], problems: &mut Vec<Problem>) {
    for (line, cells) in rows {
        let [crates, owners] = cells.as_slice() else {
            problems.push(Problem::new(DOCUMENT, *line, "a row has a crate from outside and its owners"));
            continue;
        };
        let owners = names(owners);
        for outside in names(crates) {
            let uses = |manifest: &&Manifest<'_>| manifest.dependencies.iter().any(|name| name == outside);
            for manifest in manifests.iter().filter(uses) {
                if !owners.contains(&manifest.name) {
                    let text =
                        format!("`{}` depends on `{outside}`, but is none of its owners", manifest.name);
                    problems.push(Problem::new(DOCUMENT, *line, text));
                }
            }
        }
    }
}

fn compare_never(manifests: &[Manifest<'_>], rows: &[Row], problems: &mut Vec<Problem>) {
    for (line, cells) in rows {
        let [programs, never] = cells.as_slice() else {
            problems.push(Problem::new(DOCUMENT, *line, "a row has a program and what it must not link"));
            continue;
        };
        for program in names(programs) {
            let linked = closure(manifests, program);
            for outside in names(never) {
                if linked.contains(outside) {
                    problems.push(Problem::new(DOCUMENT, *line, format!("`{program}` links `{outside}`")));
                }
            }
        }
    }
}

/// Every crate that is named by `program` or by a crate of ours that it links.
fn closure<'a>(manifests: &'a [Manifest<'a>], program: &'a str) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::from([program]);
    let mut next = vec![program];
    while let Some(name) = next.pop() {
        let Some(manifest) = manifests.iter().find(|manifest| manifest.name == name) else { continue };
        for dependency in manifest.dependencies {
            if seen.insert(dependency) {
                next.push(dependency);
            }
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "\
<!-- tidy: layers -->

| layer | crate | may use |
| --- | --- | --- |
| 0 | `abi` | |
| 1 | `scene` | `abi` |
| 2 | `engine` | `abi`, `scene` |
| guest | `sdk` | `abi` |

<!-- tidy: owners -->
| from outside | only in |
| --- | --- |
| `bevy` | `engine` |

<!-- tidy: never -->
| program | never links |
| --- | --- |
| `sdk` | `redb` |
";

    fn problems(change: impl Fn(&str) -> Vec<String>, document: &str) -> Vec<String> {
        let packages: Vec<(&str, Vec<String>)> =
            ["abi", "scene", "engine", "sdk"].map(|name| (name, change(name))).to_vec();
        let manifests: Vec<Manifest<'_>> = packages
            .iter()
            .map(|(name, dependencies)| Manifest { name, dependencies, dev_dependencies: &[] })
            .collect();
        compare(&manifests, document).into_iter().map(|problem| problem.text).collect()
    }

    fn as_it_is(name: &str) -> Vec<String> {
        let names: &[&str] = match name {
            "scene" => &["abi", "redb"],
            "engine" => &["abi", "bevy", "scene"],
            "sdk" => &["abi"],
            _ => &[],
        };
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn with(package: &'static str, added: &'static str) -> impl Fn(&str) -> Vec<String> {
        move |name| {
            let mut names = as_it_is(name);
            if name == package {
                names.push(added.to_owned());
            }
            names
        }
    }

    #[test]
    fn a_true_table_has_no_problem() {
        assert_eq!(problems(as_it_is, DOCUMENT), Vec::<String>::new());
    }

    #[test]
    fn each_lie_is_found() {
        let found = problems(with("abi", "scene"), DOCUMENT);
        assert_eq!(found, ["`abi` depends on `scene`, which the table does not allow", "`sdk` links `redb`"]);
        let found = problems(with("scene", "bevy"), DOCUMENT);
        assert_eq!(found, ["`scene` depends on `bevy`, but is none of its owners"]);
        let found = problems(with("sdk", "redb"), DOCUMENT);
        assert_eq!(found, ["`sdk` links `redb`"]);
        let found = problems(as_it_is, &DOCUMENT.replace("| 1 | `scene` | `abi` |\n", ""));
        assert_eq!(found, ["`scene` is not in the table", "`scene` is not in the table of layers"]);
        let found = problems(as_it_is, &DOCUMENT.replace("| 0 | `abi` | |", "| 0 | `abi` | `scene` |"));
        assert_eq!(
            found,
            [
                "`abi` (layer 0) may not use `scene` (layer 1): not a layer below",
                "`abi` does not depend on `scene` any more"
            ]
        );
        let found = problems(as_it_is, &DOCUMENT.replace("<!-- tidy: never -->", ""));
        assert_eq!(found, ["has no table `<!-- tidy: never -->`"]);
    }
}
