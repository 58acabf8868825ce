//! Extracts commands and files from a page, in order. Reads text; runs nothing.

/// The runnable parts of a page.
pub(crate) struct Page {
    /// Its path in the repository.
    pub(crate) name: String,
    pub(crate) steps: Vec<Step>,
    /// Line and reason of each block that does not run.
    pub(crate) skipped: Vec<(usize, Option<String>)>,
}

pub(crate) enum Step {
    Run(Command),
    /// A file: its name and its text.
    Write(String, String),
}

/// A command of a block; it may span several lines that end with a backslash.
#[derive(Debug, PartialEq)]
pub(crate) struct Command {
    pub(crate) line: usize,
    pub(crate) text: String,
    pub(crate) is_background: bool,
    /// The word that stands for its output.
    pub(crate) prints: Option<String>,
    pub(crate) exit_code: i32,
}

impl Page {
    pub(crate) fn parse(name: &str, text: &str) -> Self {
        let mut page = Self { name: name.to_owned(), steps: Vec::new(), skipped: Vec::new() };
        let mut block: Option<Block<'_>> = None;
        let mut above = "";
        for (number, line) in (1..).zip(text.lines()) {
            match (&mut block, line.trim_start().strip_prefix("```")) {
                (None, Some(language)) => {
                    block = Some(Block { language, line: number, above, lines: Vec::new() });
                }
                (Some(_), Some(_)) => page.add(block.take().expect("it was matched")),
                (Some(block), None) => block.lines.push((number, line)),
                (None, None) => above = line,
            }
        }
        assert!(block.is_none(), "{name}: the last block does not end");
        page
    }

    pub(crate) fn has_commands(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Run(_)))
    }

    fn add(&mut self, block: Block<'_>) {
        match block.language {
            "sh" => self.steps.extend(block.commands().into_iter().map(Step::Run)),
            "sh,norun" => {
                let why = block.above.strip_prefix("<!-- not run: ").and_then(|why| why.strip_suffix(" -->"));
                self.skipped.push((block.line, why.map(str::to_owned)));
            }
            "toml" => self.steps.extend(block.file().map(|(name, text)| Step::Write(name, text))),
            _ => {}
        }
    }
}

struct Block<'a> {
    language: &'a str,
    line: usize,
    above: &'a str,
    lines: Vec<(usize, &'a str)>,
}

impl Block<'_> {
    fn commands(&self) -> Vec<Command> {
        let mut commands = Vec::new();
        let mut begun: Option<(usize, String)> = None;
        for (number, line) in &self.lines {
            if begun.is_none() && (line.trim().is_empty() || line.starts_with('#')) {
                continue;
            }
            let (first, text) = begun.take().unwrap_or((*number, String::new()));
            match line.strip_suffix('\\') {
                Some(part) => begun = Some((first, text + part)),
                None => commands.push(Command::parse(first, &(text + line))),
            }
        }
        commands
    }

    fn file(&self) -> Option<(String, String)> {
        let name = self.lines.first()?.1.strip_prefix("# ")?;
        let is_name = name.ends_with(".toml") && !name.contains(' ');
        let text = self.lines.iter().fold(String::new(), |text, (_, line)| text + line + "\n");
        is_name.then(|| (name.to_owned(), text))
    }
}

impl Command {
    fn parse(line: usize, text: &str) -> Self {
        let (command, comment) = split_comment(text);
        let after = |phrase| comment.split_once(phrase).map(|(_, rest): (_, &str)| rest);
        let is_name = |word: &&str| word.len() > 2 && word.chars().all(|c| c.is_ascii_uppercase());
        let prints = after("prints ").map(|rest| {
            let name = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '@').find(is_name);
            name.unwrap_or_else(|| panic!("line {line}: no word in capitals after `prints`")).to_owned()
        });
        let exit_code = after("exit code ").map_or(0, |rest| {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().unwrap_or_else(|_| panic!("line {line}: no number after `exit code`"))
        });
        let background = command.strip_suffix('&').filter(|rest| !rest.ends_with('&'));
        let text = background.unwrap_or(command).trim().to_owned();
        Self { line, text, is_background: background.is_some(), prints, exit_code }
    }
}

/// Splits a command from its comment: ` #` outside of quotes, as in a shell.
fn split_comment(text: &str) -> (&str, &str) {
    let mut quote = None;
    let mut before = ' ';
    for (at, character) in text.char_indices() {
        match quote {
            Some(open) if open == character => quote = None,
            None if character == '\'' || character == '"' => quote = Some(character),
            None if character == '#' && before == ' ' => return (text[..at].trim_end(), &text[at..]),
            Some(_) | None => {}
        }
        before = character;
    }
    (text.trim_end(), "")
}

#[test]
fn a_command_says_in_its_comment_what_it_prints_and_how_it_ends() {
    let command = |text: &str| Command::parse(1, text);
    let seed = command("swarm seed film.mkv &    # prints its ticket: TICKET, which names it");
    assert_eq!((seed.text.as_str(), seed.is_background), ("swarm seed film.mkv", true));
    assert_eq!((seed.prints.as_deref(), seed.exit_code), (Some("TICKET"), 0));
    let fetch = command("swarm fetch --include '# *.mkv' x && ls   # exit code 4: the file differs");
    assert_eq!(
        (fetch.text.as_str(), fetch.is_background),
        ("swarm fetch --include '# *.mkv' x && ls", false)
    );
    assert_eq!((fetch.prints, fetch.exit_code), (None, 4));
}

#[test]
fn a_page_is_its_commands_and_files_in_order() {
    let text = "Text.\n```sh\n# a comment\nswarm a \\\n  b\n```\n```toml\n# n.toml\nx = 1\n```\n```text\nno\n```\n\
                <!-- not run: it needs systemd -->\n```sh,norun\nno\n```\n";
    let page = Page::parse("page", text);
    let shown = page.steps.iter().map(|step| match step {
        Step::Run(command) => format!("{}: {}", command.line, command.text),
        Step::Write(name, text) => format!("{name}: {text:?}"),
    });
    let shown = shown.collect::<Vec<_>>();
    assert_eq!(shown, ["4: swarm a   b", "n.toml: \"# n.toml\\nx = 1\\n\""]);
    assert_eq!(page.skipped, [(15, Some("it needs systemd".to_owned()))]);
}
