// Bundles the JavaScript side of a React Native app with the entries that Metro selects: the field
// `react-native` of a package, its export condition `react-native`, and `.android` and `.native`
// files. `react-native` itself is react-native-web, and native modules are stubs.

import path from 'node:path';
import process from 'node:process';

import { build } from 'esbuild';

const here = import.meta.dirname;
const stub = (name) => path.join(here, name);

/** Modules with native code, or for the user interface only. */
const NATIVE = [
  '@op-engineering/op-sqlite',
  '@react-native-community/netinfo',
  '@react-native-firebase/messaging',
  '@shopify/flash-list',
  '@stream-io/noise-cancellation-react-native',
  '@stream-io/react-native-callingx',
  '@stream-io/react-native-webrtc',
  '@stream-io/video-filters-react-native',
  'react-native-gesture-handler',
  'react-native-incall-manager',
  'react-native-reanimated',
  'react-native-safe-area-context',
  'react-native-svg',
  'react-native-teleport',
];

/** Polyfills of globals that Node.js has and React Native lacks. */
const POLYFILLS = /^(react-native-url-polyfill(\/auto)?|text-encoding-polyfill)$/;

const isNative = (request) => NATIVE.some((name) => request === name || request.startsWith(`${name}/`));

const platform = {
  name: 'react-native',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^react-native$/ }, () => ({ path: stub('react_native.cjs') }));
    onResolve({ filter: POLYFILLS }, ({ path: name }) => ({ path: name, namespace: 'empty' }));
    onResolve({ filter: /^[^./]/ }, ({ path: name }) =>
      isNative(name) ? { path: name, namespace: 'native' } : undefined,
    );
    onLoad({ filter: /.*/, namespace: 'empty' }, () => ({
      contents: 'export const setupURLPolyfill = () => {};',
    }));
    onLoad({ filter: /.*/, namespace: 'native' }, ({ path: name }) => ({
      contents: `
        const { nativeModule } = require(${JSON.stringify(stub('native_stub.cjs'))});
        module.exports = nativeModule(${JSON.stringify(name)});
      `,
      resolveDir: here,
    }));
  },
};

await build({
  entryPoints: [path.join(here, 'app.mjs')],
  outfile: process.argv[2],
  bundle: true,
  format: 'cjs',
  platform: 'neutral',
  mainFields: ['react-native', 'browser', 'module', 'main'],
  conditions: ['react-native', 'require'],
  resolveExtensions: [
    '.android.ts', '.android.tsx', '.android.js', '.native.ts', '.native.tsx', '.native.js',
    '.ts', '.tsx', '.mjs', '.js', '.json',
  ],
  loader: { '.js': 'jsx', '.png': 'dataurl' },
  jsx: 'automatic',
  define: { __DEV__: 'false', global: 'globalThis', 'process.env.NODE_ENV': '"production"' },
  logLevel: 'error',
  plugins: [platform],
});
