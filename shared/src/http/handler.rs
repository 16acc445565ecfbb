//! Handlers: async functions whose arguments are extracted from the request, in order.

use std::future::Future;

use lambda_http::Request;

use crate::error::{ApiError, Code};
use crate::http::{Authenticate, FromRequest, IntoResponse, Response};

/// An async function with the arguments state, authenticated principal and parts of the request. It
/// returns a value that becomes a response, or an [`ApiError`].
pub trait Handler<S, P: Authenticate, A>: Send + Sync + 'static {
    /// Extracts the arguments and calls the function. `state` is `None` if the function needs
    /// Stream and Stream is not configured.
    fn handle(
        &self,
        state: Option<&'static S>,
        principal: P,
        request: &Request,
    ) -> impl Future<Output = Result<Response, ApiError>> + Send;
}

macro_rules! impl_handler {
    ($($argument:ident)*) => {
        impl<S, P, F, Fut, R, $($argument),*> Handler<S, P, ($($argument,)*)> for F
        where
            S: Send + Sync + 'static,
            P: Authenticate,
            F: Fn(&'static S, P, $($argument),*) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = Result<R, ApiError>> + Send,
            R: IntoResponse,
            $($argument: FromRequest,)*
        {
            #[allow(unused_variables, reason = "a handler may extract nothing")]
            async fn handle(
                &self,
                state: Option<&'static S>,
                principal: P,
                request: &Request,
            ) -> Result<Response, ApiError> {
                let state = state.ok_or_else(|| ApiError::from_code(Code::StreamNotConfigured))?;
                $(
                    #[expect(non_snake_case, reason = "named after its type")]
                    let $argument = $argument::from_request(request)?;
                )*
                self(state, principal, $($argument),*).await?.into_response()
            }
        }
    };
}

impl_handler!();
impl_handler!(A1);
impl_handler!(A1 A2);
impl_handler!(A1 A2 A3);
impl_handler!(A1 A2 A3 A4);
