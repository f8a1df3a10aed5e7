//! The scenario that goose gives its users, and what goose is told of their calls.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use goose::{
    GooseError,
    goose::{GooseUser, Scenario, Transaction, TransactionFunction, TransactionResult},
};

use crate::{attack::Attack, user::User};

/// A user as goose keeps it. Nothing locks it: goose asks only that it could be shared.
struct Session(Mutex<User>);

/// Goose asks that a user's data can be cloned, and does not clone it. A copy would start afresh.
impl Clone for Session {
    fn clone(&self) -> Self {
        let user = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Self::new(User::new(Arc::clone(&user.attack)))
    }
}

impl Session {
    fn new(user: User) -> Self {
        Self(Mutex::new(user))
    }

    /// The user whose turn it is in `goose`.
    fn of(goose: &mut GooseUser) -> &mut User {
        let session = goose.get_session_data_unchecked_mut::<Self>();
        session.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The scenario of the users of `attack`: connect, then call for ever.
pub(crate) fn scenario(attack: &Arc<Attack>, name: &str) -> Result<Scenario, GooseError> {
    let starting = Arc::clone(attack);
    let start: TransactionFunction =
        Arc::new(move |goose| Box::pin(start(goose, Arc::clone(&starting))));
    let call: TransactionFunction = Arc::new(|goose| Box::pin(call(goose)));
    let stop: TransactionFunction = Arc::new(|goose| Box::pin(stop(goose)));
    Ok(Scenario::new(name)
        .register_transaction(Transaction::new(start).set_name("connect").set_on_start())
        .register_transaction(Transaction::new(call).set_name("call"))
        .register_transaction(Transaction::new(stop).set_name("stop").set_on_stop()))
}

async fn start(goose: &mut GooseUser, attack: Arc<Attack>) -> TransactionResult {
    let mut user = User::new(attack);
    user.start().await;
    goose.set_session_data(Session::new(user));
    Ok(())
}

/// Makes calls for a while: goose's own account of a transaction, which nobody asks for, costs as much
/// as that of a request.
async fn call(goose: &mut GooseUser) -> TransactionResult {
    let user = Session::of(goose);
    let attack = Arc::clone(&user.attack);
    let begun = Instant::now();
    loop {
        let Some(ended) = Session::of(goose).call().await else {
            return Ok(());
        };
        let outcome = ended.outcome;
        let error = (!outcome.is_ok()).then(|| outcome.to_string());
        goose
            .record_custom_request_duration(
                &attack.method,
                &attack.name,
                ended.latency,
                outcome.is_ok(),
                outcome.http_status(),
                error.as_deref(),
            )
            .await?;
        if ended.at - begun >= attack.transaction {
            return Ok(());
        }
    }
}

/// A user stops before the timekeeper has ended the trial: goose ends it.
async fn stop(goose: &mut GooseUser) -> TransactionResult {
    let user = Session::of(goose);
    user.attack.window.end_early();
    Ok(())
}
