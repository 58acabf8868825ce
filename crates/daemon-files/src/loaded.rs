//! A file's text as a checked value, with the document that tells the lines of its entries.

use crate::FileName;
use crate::error::{FileError, Place, Warning};
use crate::json::Json;
use crate::key_path::KeyPath;
use crate::limits::MESSAGE_LEN_MAX;
use crate::read::{self, Wrong, shortened_to};

/// A value, and the document that it was read from.
#[derive(Clone, Debug)]
pub(crate) struct Loaded<T> {
    pub(crate) file: FileName,
    pub(crate) value: T,
    pub(crate) json: Json,
    pub(crate) warnings: Vec<Warning>,
}

impl<T> Loaded<T> {
    /// Reads the shape `F`, and makes the value from it with `check`, which may also give warnings.
    pub(crate) fn new<F: serde::de::DeserializeOwned>(
        file: FileName,
        json: Json,
        check: impl FnOnce(F, &mut Vec<Wrong>) -> Result<T, Wrong>,
    ) -> Result<Self, FileError> {
        let error = |json: &Json, wrong: Wrong| {
            let at = wrong.at.unwrap_or_default();
            FileError::new(place(file, json, &at), &wrong.message)
        };
        let (shape, unknown) = read::read::<F>(&json).map_err(|wrong| error(&json, wrong))?;
        let mut notes = Vec::new();
        let value = check(shape, &mut notes).map_err(|wrong| error(&json, wrong))?;
        let mut warnings: Vec<Warning> =
            unknown.into_iter().map(|wrong| unknown_key(file, &json, wrong)).collect();
        warnings.extend(notes.into_iter().map(|wrong| {
            let FileError { place, message } = error(&json, wrong);
            Warning { place, message }
        }));
        Ok(Self { file, value, json, warnings })
    }

    /// Where something stands in the file.
    pub(crate) fn place(&self, at: &KeyPath) -> Place {
        place(self.file, &self.json, at)
    }
}

/// On the line of the key, but named by what holds it: the message has the key itself.
fn unknown_key(file: FileName, json: &Json, wrong: Wrong) -> Warning {
    let at = wrong.at.unwrap_or_default();
    let place = Place { key: at.parent().to_string(), ..place(file, json, &at) };
    Warning { place, message: wrong.message }
}

fn place(file: FileName, json: &Json, at: &KeyPath) -> Place {
    Place { file, line: Some(json.line_at(at)), key: shortened_to(&at.to_string(), MESSAGE_LEN_MAX) }
}
