/** Callbacks of the app. */

/**
 * Calls a callback of the app, which may be missing. An exception of it is ignored, because the work that reports to
 * the callback must go on.
 */
export function notify<Value>(callback: ((value: Value) => void) | undefined, value: Value): void {
  try {
    callback?.(value);
  } catch {
    // The app has no other place to receive it.
  }
}
