//! A text as a QR code (ISO/IEC 18004), for a phone to read off a screen.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use qrcode::{Color, EcLevel, QrCode};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::auth::Caller;
use crate::extract::Asked;
use crate::limits::QR_LEN_MAX;
use crate::problem::{Answer, Problem};

/// What the code says.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct QrQuery {
    /// Up to 512 bytes.
    text: String,
}

/// Get a text as a QR code
#[utoipa::path(get, path = "/api/v1/qr", tag = "node", params(QrQuery), responses((status = 200, description = "A picture", content_type = "image/svg+xml", body = String), (status = "default", description = "A problem", body = Problem)))]
pub(crate) async fn qr(_: Caller, Asked(query): Asked<QrQuery>) -> Answer<Response> {
    if query.text.is_empty() || query.text.len() > QR_LEN_MAX {
        return Err(Problem::bad(format!("a QR code is of 1 to {QR_LEN_MAX} bytes")));
    }
    let code = QrCode::with_error_correction_level(&query.text, EcLevel::M)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, "image/svg+xml")], svg(&code)).into_response())
}

/// Black on white whatever the page around it looks like, with the margin that readers need.
fn svg(code: &QrCode) -> String {
    let width = code.width();
    let all = width + 2 * MARGIN;
    let mut path = String::new();
    for (y, row) in code.to_colors().chunks(width).enumerate() {
        let mut x = 0;
        for run in row.chunk_by(|one, other| one == other) {
            if run[0] == Color::Dark {
                path.push_str(&format!("M{} {}h{}v1h-{}z", x + MARGIN, y + MARGIN, run.len(), run.len()));
            }
            x += run.len();
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {all} {all}\" shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0 0h{all}v{all}H0z\"/><path d=\"{path}\"/></svg>"
    )
}

/// Light modules around the code.
const MARGIN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_the_dark_modules_of_the_code_and_a_margin() {
        let code =
            QrCode::with_error_correction_level("https://host:8000/link/x", EcLevel::M).expect("it fits");
        let picture = svg(&code);
        let dark: usize =
            picture.split('h').skip(1).filter_map(|run| run.split_once("v1")?.0.parse::<usize>().ok()).sum();
        assert_eq!(dark, code.to_colors().iter().filter(|color| **color == Color::Dark).count());
        // The upper left mark begins after the margin.
        assert!(picture.contains("<path d=\"M4 4h7v1h-7z"), "{picture}");
    }
}
