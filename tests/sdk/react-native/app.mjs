// What a React Native app imports of Stream's SDKs.

export { CallingState, StreamVideoClient, StreamVideoRN } from '@stream-io/video-react-native-sdk';
export { StreamChat } from 'stream-chat';
export { Chat } from 'stream-chat-react-native-core';
