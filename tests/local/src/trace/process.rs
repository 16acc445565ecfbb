//! The identity of a function's process in the trace.

use super::recorder::Recorder;

/// A process. Without a console it does nothing. The clones of a process share its identity.
#[derive(Clone)]
pub(crate) struct ProcessTrace(Option<(Recorder, String)>);

impl ProcessTrace {
    pub(crate) fn new(recorder: Option<&Recorder>, id: &str) -> Self {
        Self(recorder.map(|recorder| (recorder.clone(), id.to_owned())))
    }

    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// The id that the requests of the process carry.
    pub(crate) fn id(&self) -> Option<&str> {
        self.0.as_ref().map(|(_, id)| id.as_str())
    }

    /// Records a line that the process has printed.
    pub(crate) fn log(&self, line: &str) {
        if let Some((recorder, id)) = &self.0 {
            recorder.log(id, line);
        }
    }

    /// Forgets the process after its end.
    pub(crate) fn end(&self) {
        if let Some((recorder, id)) = &self.0 {
            recorder.unbind(id);
        }
    }
}
