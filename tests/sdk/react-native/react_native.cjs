// react-native-web in place of `react-native`, as an Android device.

const web = require('react-native-web');
const { nativeModule, nativeValue } = require('./native_stub.cjs');

const Platform = {
  OS: 'android',
  Version: 34,
  select: (choices) => choices.android ?? choices.native ?? choices.default,
  constants: { Version: 34, Release: '14', Model: 'Node.js', Manufacturer: 'Node.js', Brand: 'Node.js' },
};

module.exports = nativeModule('react-native', {
  ...web,
  Platform,
  // Those of react-native-web lack the functions for native modules and headless tasks.
  AppRegistry: nativeValue('AppRegistry'),
  NativeModules: nativeValue('NativeModules'),
});
