//! Tests in the form of LLVM's `lit`: commands in comments of the input, after
//! `RUN:`, most of which pipe what a tool says into FileCheck.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::read;

/// LLVM's tools: `llc`, `FileCheck` and the like.
pub struct Tools {
    /// Where they are.
    pub folder: PathBuf,
}

impl Tools {
    /// Those in `folder`, or the newest that Debian's packages installed.
    pub fn find(folder: Option<PathBuf>) -> anyhow::Result<Self> {
        let installed = || {
            (14..40)
                .rev()
                .map(|version| format!("/usr/lib/llvm-{version}/bin"))
        };
        let found = match folder {
            Some(folder) => Some(folder),
            None => installed()
                .map(PathBuf::from)
                .find(|folder| folder.join("FileCheck").is_file()),
        };
        let folder = found.context(
            "no FileCheck in /usr/lib/llvm-*/bin: install llvm-19-tools and lld-19, or name the \
             folder of LLVM's tools with --tools",
        )?;
        for tool in [
            "FileCheck",
            "not",
            "split-file",
            "llc",
            "llvm-mc",
            "obj2yaml",
            "wasm-ld",
        ] {
            let has_it = folder.join(tool).is_file();
            ensure!(has_it, "{} has no {tool}", folder.display());
        }
        Ok(Tools { folder })
    }
}

/// What the tests call as wasm-ld.
pub struct Linker {
    /// The program.
    pub path: PathBuf,
    /// Arguments that come before those of the tests.
    pub first: &'static [&'static str],
}

impl Linker {
    /// A program at `place` that calls it under the name wasm-ld.
    fn install(&self, place: &Path) -> anyhow::Result<()> {
        let Linker { path, first } = self;
        let script = format!(
            "#!/bin/bash\nexec -a wasm-ld '{}' {} \"$@\"\n",
            path.display(),
            first.join(" ")
        );
        std::fs::write(place, script)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(place, std::fs::Permissions::from_mode(0o755))?;
        }
        #[cfg(not(unix))]
        anyhow::bail!("lld's tests are run by bash");
        Ok(())
    }
}

/// How a link and its checks ended.
#[derive(Debug)]
pub enum Outcome {
    /// As the test says.
    Good,
    /// Otherwise.
    Failed {
        /// The first command that failed.
        command: String,
        /// The first lines of what it said.
        said: Vec<String>,
    },
}

impl Outcome {
    /// Whether it is as the test says.
    pub fn is_good(&self) -> bool {
        matches!(self, Outcome::Good)
    }
}

/// A file with commands.
pub struct Test {
    /// Its path below the tests' folder.
    pub name: String,
    path: PathBuf,
    commands: Vec<String>,
}

/// The folder of the tests in a source package, or below it.
pub fn folder(path: &Path) -> anyhow::Result<PathBuf> {
    let candidates = ["", "wasm", "test/wasm", "lld/test/wasm"];
    let mut folders = candidates.iter().map(|inner| path.join(inner));
    let is_it =
        |folder: &PathBuf| folder.join("lit.local.cfg").is_file() && folder.ends_with("wasm");
    folders.find(is_it).with_context(|| {
        format!(
            "{} is neither lld/test/wasm of LLVM's sources nor a folder above it",
            path.display()
        )
    })
}

/// The tests in `folder` that link, in the order of their names.
pub fn tests(folder: &Path) -> anyhow::Result<Vec<Test>> {
    let mut tests = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for entry in inner.read_dir()? {
            let path = entry?.path();
            if path.is_dir() && !path.ends_with("Inputs") {
                folders.push(path);
                continue;
            }
            let extension = path.extension().unwrap_or_default();
            if !["test", "yaml", "ll", "s"]
                .iter()
                .any(|it| extension == *it)
            {
                continue;
            }
            let commands = commands(&read(&path)?);
            if commands.iter().any(|command| links(command)) {
                let name = path.strip_prefix(folder)?.to_string_lossy().into_owned();
                tests.push(Test {
                    name,
                    path,
                    commands,
                });
            }
        }
    }
    tests.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(tests)
}

/// The commands of a test, those that go on after a `\` joined.
fn commands(text: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in text.lines() {
        let Some((_, command)) = line.split_once("RUN:") else {
            continue;
        };
        let (command, more) = match command.trim().strip_suffix('\\') {
            Some(command) => (command.trim(), true),
            None => (command.trim(), false),
        };
        match commands.last_mut().filter(|_| goes_on) {
            Some(last) => *last += &format!(" {command}"),
            None => commands.push(command.to_owned()),
        }
        goes_on = more;
    }
    commands
}

/// Whether a command calls the linker.
fn links(command: &str) -> bool {
    command.split_whitespace().any(|word| word == "wasm-ld")
}

/// No command of a test takes longer.
const TIME_LIMIT: Duration = Duration::from_secs(60);

impl Test {
    /// Runs the commands, with `linker` for wasm-ld; an outcome for each link.
    pub fn run(
        &self,
        tools: &Tools,
        linker: &Linker,
        place: &Path,
    ) -> anyhow::Result<Vec<Outcome>> {
        std::fs::create_dir_all(place.join("bin"))?;
        linker.install(&place.join("bin/wasm-ld"))?;
        std::fs::write(place.join("folder"), place.as_os_str().as_encoded_bytes())?;
        let mut outcomes = Vec::new();
        for command in &self.commands {
            let outcome = self.execute(command, tools, place)?;
            if links(command) {
                outcomes.push(outcome);
                continue;
            }
            match (outcomes.last_mut(), outcome) {
                (Some(last @ Outcome::Good), failed @ Outcome::Failed { .. }) => *last = failed,
                (None, Outcome::Failed { command, said }) if !command.starts_with("rm ") => {
                    // Without its inputs no link says anything.
                    let all = self.commands.iter().filter(|command| links(command));
                    return Ok(all.map(|_| Outcome::failed(&command, &said)).collect());
                }
                _ => {}
            }
        }
        Ok(outcomes)
    }

    /// One command, as lit runs it: where the one before it left off.
    fn execute(&self, command: &str, tools: &Tools, place: &Path) -> anyhow::Result<Outcome> {
        let inner = self.substituted(command, place);
        let script = format!(
            "set -o pipefail; cd \"$(cat '{0}/folder')\"; {inner}\nstatus=$?; pwd > '{0}/folder'; exit $status",
            place.display()
        );
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}/bin:{}:{path}", place.display(), tools.folder.display());
        let said = place.join("said");
        let output = std::fs::File::create(&said)?;
        let mut child = Command::new("bash")
            .args(["-c", &script])
            .env("PATH", path)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("cannot run bash")?;
        let since = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if since.elapsed() > TIME_LIMIT {
                child.kill()?;
                child.wait()?;
                return Ok(Outcome::failed(command, &["it did not end".to_owned()]));
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        if status.success() {
            return Ok(Outcome::Good);
        }
        let said: Vec<String> = read(&said)?.lines().take(8).map(str::to_owned).collect();
        Ok(Outcome::failed(command, &said))
    }

    /// The command with its files' names in place of `%s`, `%t` and the like.
    fn substituted(&self, command: &str, place: &Path) -> String {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let name = Path::new(&self.name).file_name().unwrap_or_default();
        let temporary = place.join(format!("{}.tmp", name.to_string_lossy()));
        command
            .replace("%python", "python3")
            .replace("%s", &self.path.display().to_string())
            .replace("%S", &folder.display().to_string())
            .replace("%p", &folder.display().to_string())
            .replace("%t", &temporary.display().to_string())
    }
}

impl Outcome {
    fn failed(command: &str, said: &[String]) -> Self {
        Outcome::Failed {
            command: command.to_owned(),
            said: said.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_from_comments() {
        let text = "; RUN: llc %s -o %t.o\n; RUN: wasm-ld %t.o \\\n; RUN:   -o %t | FileCheck %s\ndefine\n# RUN: rm x\n";
        let commands = commands(text);
        assert_eq!(
            commands,
            [
                "llc %s -o %t.o",
                "wasm-ld %t.o -o %t | FileCheck %s",
                "rm x"
            ]
        );
        assert_eq!(commands.iter().filter(|it| links(it)).count(), 1);
    }
}
