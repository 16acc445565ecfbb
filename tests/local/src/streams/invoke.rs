//! Invocations of functions by the consumers.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{InvokeError, TableStreamError};
use crate::lambda::Functions;
use crate::output::report_error;
use crate::trace::RequestKind;

/// A future of a trait object's method.
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Invokes functions. A trait, so that tests need no processes.
pub(crate) trait Invoke: Send + Sync {
    /// Invokes a function, by the name of its binary.
    fn invoke<'a>(
        &'a self,
        function: &'a str,
        payload: Bytes,
    ) -> BoxFuture<'a, Result<Bytes, InvokeError>>;
}

/// Invokes the functions of a stack.
pub(crate) struct FunctionInvoker {
    functions: Arc<Functions>,
    /// Whether errors are printed. In a test they are expected.
    prints_errors: bool,
}

impl FunctionInvoker {
    pub(crate) fn new(functions: Arc<Functions>, prints_errors: bool) -> Self {
        Self { functions, prints_errors }
    }
}

impl Invoke for FunctionInvoker {
    fn invoke<'a>(
        &'a self,
        function: &'a str,
        payload: Bytes,
    ) -> BoxFuture<'a, Result<Bytes, InvokeError>> {
        Box::pin(async move {
            let result = self.functions.run(RequestKind::TableStream, function, payload).await;
            if self.prints_errors
                && let Err(error) = &result
            {
                // The consumer only retries, so no caller reports the error.
                report_error(&error.to_string());
            }
            result
        })
    }
}

/// Invokes a function. `None` means that the function failed, which counts as a retry. An error
/// means that the function was not invoked.
pub(super) async fn invoke_function(
    invoker: &dyn Invoke,
    function: &str,
    payload: Bytes,
) -> Result<Option<Bytes>, TableStreamError> {
    match invoker.invoke(function, payload).await {
        Ok(response) => Ok(Some(response)),
        Err(
            error @ (InvokeError::UnknownFunction(_)
            | InvokeError::Spawn { .. }
            | InvokeError::ShuttingDown),
        ) => Err(TableStreamError::Invoke(error)),
        Err(_) => Ok(None),
    }
}

/// Invokers for the tests of the consumers.
#[cfg(test)]
pub(super) mod fakes {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use serde_json::Value;

    use super::*;
    use crate::sync::lock;

    /// An error that a function reported.
    pub(in crate::streams) fn function_error() -> InvokeError {
        InvokeError::FunctionError { function: "f".to_owned(), report: "{}".to_owned() }
    }

    /// Returns scripted responses in order, then `null`. Records the events.
    pub(in crate::streams) struct ScriptedInvoker {
        responses: Mutex<VecDeque<Result<String, InvokeError>>>,
        events: Mutex<Vec<Value>>,
    }

    impl ScriptedInvoker {
        pub(in crate::streams) fn new(
            responses: impl IntoIterator<Item = Result<String, InvokeError>>,
        ) -> Arc<Self> {
            let responses = Mutex::new(responses.into_iter().collect());
            Arc::new(Self { responses, events: Mutex::default() })
        }

        /// The events of all invocations.
        pub(in crate::streams) fn events(&self) -> Vec<Value> {
            lock(&self.events).clone()
        }
    }

    impl Invoke for ScriptedInvoker {
        fn invoke<'a>(
            &'a self,
            _function: &'a str,
            payload: Bytes,
        ) -> BoxFuture<'a, Result<Bytes, InvokeError>> {
            Box::pin(async move {
                lock(&self.events).push(serde_json::from_slice(&payload).unwrap());
                let response = lock(&self.responses).pop_front();
                response.unwrap_or_else(|| Ok("null".to_owned())).map(Bytes::from)
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fakes::{ScriptedInvoker, function_error};
    use super::*;

    #[tokio::test]
    async fn only_failures_of_the_function_count_as_retries() {
        let invoke = async |response: Result<String, InvokeError>| {
            let invoker = ScriptedInvoker::new([response]);
            invoke_function(&*invoker, "f", Bytes::from_static(b"{}")).await
        };
        assert_eq!(invoke(Ok("1".to_owned())).await.unwrap(), Some(Bytes::from_static(b"1")));
        assert_eq!(invoke(Err(function_error())).await.unwrap(), None);
        let crashed =
            InvokeError::Crashed { function: "f".to_owned(), status: "signal: 9".to_owned() };
        assert_eq!(invoke(Err(crashed)).await.unwrap(), None);
        assert!(invoke(Err(InvokeError::ShuttingDown)).await.is_err());
    }
}
