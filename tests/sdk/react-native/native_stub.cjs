// Stands for native code: every property is a function, which returns another stub.

const nativeValue = (name) =>
  new Proxy(function stub() {}, {
    get(target, key) {
      if (key === '__esModule') return true;
      // A stub must not look like a promise.
      if (key === 'then') return undefined;
      if (key === Symbol.toPrimitive) return () => name;
      return key in target ? target[key] : nativeValue(`${name}.${String(key)}`);
    },
    apply: () => nativeValue(`${name}()`),
    construct: () => nativeValue(`new ${name}`),
  });

/**
 * A module with any export. The proxy is the prototype, because a bundler copies a module's own
 * properties, which a proxy does not list.
 */
const nativeModule = (name, exports = {}) =>
  Object.create(
    new Proxy({}, {
      get(_, key) {
        if (key === '__esModule') return true;
        return key in exports ? exports[key] : nativeValue(`${name}.${String(key)}`);
      },
    }),
  );

module.exports = { nativeModule, nativeValue };
