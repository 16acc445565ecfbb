//! Handlers: async functions whose arguments are read from the request, in order.

use std::future::Future;

use crate::error::{ApiError, Code};
use crate::http::{Answer, FromRequest, Identity, Request, Respond};

/// An async function from what the function needs of the world, who calls and what is asked, to
/// something to [`Respond`] with or an [`ApiError`].
pub trait Handler<D, W: Identity, A>: Send + Sync + 'static {
    /// Reads the arguments and calls the function, once it is settled who calls: first whether the
    /// function has what it needs, then the rest of the request.
    fn handle(
        &self,
        deps: Option<&'static D>,
        who: W,
        request: &Request,
    ) -> impl Future<Output = Result<Answer, ApiError>> + Send;
}

macro_rules! handlers {
    ($($argument:ident)*) => {
        impl<D, W, F, Fut, R, $($argument),*> Handler<D, W, ($($argument,)*)> for F
        where
            D: Send + Sync + 'static,
            W: Identity,
            F: Fn(&'static D, W, $($argument),*) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = Result<R, ApiError>> + Send,
            R: Respond,
            $($argument: FromRequest,)*
        {
            #[allow(unused_variables, reason = "a handler may ask nothing of the request")]
            async fn handle(
                &self,
                deps: Option<&'static D>,
                who: W,
                request: &Request,
            ) -> Result<Answer, ApiError> {
                let deps = deps.ok_or_else(|| ApiError::plain(Code::StreamNotConfigured))?;
                $(
                    #[expect(non_snake_case, reason = "named after its type")]
                    let $argument = $argument::from_request(request)?;
                )*
                self(deps, who, $($argument),*).await?.respond()
            }
        }
    };
}

handlers!();
handlers!(A1);
handlers!(A1 A2);
handlers!(A1 A2 A3);
handlers!(A1 A2 A3 A4);
