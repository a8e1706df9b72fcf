use http::StatusCode;

use crate::{error::Reason, oauth::Challenger, reject::Rejection, token::TokenError};

/// What a token may be refused for.
const REASONS: [Reason; 8] = [
    Reason::InvalidToken,
    Reason::Expired,
    Reason::NotYetValid,
    Reason::WrongIssuer,
    Reason::WrongAudience,
    Reason::WrongType,
    Reason::BadSignature,
    Reason::UnknownKey,
];

/// The refusals of tokens. They are made once: to say no costs less than to read what is refused,
/// so that a flood of junk gains nothing.
#[derive(Clone, Debug)]
pub(super) struct Refusals {
    challenger: Challenger,
    no_token: Rejection,
    invalid: Vec<Rejection>,
}

impl Refusals {
    pub(super) fn new(challenger: &Challenger) -> Self {
        let no_token = Rejection::new(
            Reason::NoToken,
            StatusCode::UNAUTHORIZED,
            "Authentication is required",
        )
        .with_challenge(&challenger.no_credentials());
        let invalid = REASONS.map(|reason| invalid(challenger, TokenError::new(reason)));
        Self {
            challenger: challenger.clone(),
            no_token,
            invalid: invalid.into(),
        }
    }

    /// The request carries no token.
    pub(super) fn no_token(&self) -> Rejection {
        self.no_token.clone()
    }

    /// It carries several, or one in a place where it must not be.
    pub(super) fn malformed(&self, why: &'static str) -> Rejection {
        Rejection::new(Reason::MalformedRequest, StatusCode::BAD_REQUEST, why)
            .with_challenge(&self.challenger.invalid_request(why))
    }

    /// The token is not good.
    pub(super) fn invalid(&self, error: TokenError) -> Rejection {
        let ready = self
            .invalid
            .iter()
            .find(|ready| ready.reason() == error.reason());
        ready.map_or_else(|| invalid(&self.challenger, error), Rejection::clone)
    }
}

fn invalid(challenger: &Challenger, error: TokenError) -> Rejection {
    let description = error.description();
    Rejection::new(error.reason(), StatusCode::UNAUTHORIZED, description)
        .with_challenge(&challenger.invalid_token(description))
}
