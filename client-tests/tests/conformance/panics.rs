//! Panics are kept instead of printed: those of a typed test are its failure, all others a server's, which must not panic.

use std::{
    collections::HashMap,
    panic,
    sync::{Mutex, PoisonError},
};

use tokio::task::{self, Id};

static OF_TASKS: Mutex<Option<HashMap<Id, String>>> = Mutex::new(None);
static ELSEWHERE: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Starts to collect.
pub(crate) fn collect() {
    panic::set_hook(Box::new(|information| {
        let message = information.to_string();
        let in_suite =
            information.location().is_some_and(|location| location.file().contains("client-tests"));
        match task::try_id() {
            Some(task) if in_suite => {
                let mut tasks = OF_TASKS.lock().unwrap_or_else(PoisonError::into_inner);
                tasks.get_or_insert_default().insert(task, message);
            }
            _ => ELSEWHERE.lock().unwrap_or_else(PoisonError::into_inner).push(message),
        }
    }));
}

/// What a task of the suite said when it panicked.
pub(crate) fn of_task(task: Id) -> Option<String> {
    OF_TASKS.lock().unwrap_or_else(PoisonError::into_inner).as_mut()?.remove(&task)
}

/// What panicked outside the suite.
pub(crate) fn of_servers() -> Vec<String> {
    std::mem::take(&mut ELSEWHERE.lock().unwrap_or_else(PoisonError::into_inner))
}
