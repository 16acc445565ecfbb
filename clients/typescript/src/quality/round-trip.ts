/** The round-trip time of the connection. */
import { max } from './numbers.js';
import { flagOf, numberOf, ofType, textOf, type Stat, type Stats } from './stats.js';

/** The round-trip time of the candidate pair in use, in seconds. */
export function pairRoundTrip(stats: Stats): number | undefined {
  return numberOf(selectedPair(stats), 'currentRoundTripTime');
}

/** The pair that the transport names; in Firefox the pair with `selected`; otherwise the busiest nominated pair. */
function selectedPair(stats: Stats): Stat | undefined {
  for (const transport of ofType(stats, 'transport')) {
    const pair = stats.get(textOf(transport, 'selectedCandidatePairId') ?? '');
    if (pair) return pair;
  }
  const pairs = ofType(stats, 'candidate-pair').filter((pair) => textOf(pair, 'state') === 'succeeded');
  const selected = pairs.find((pair) => flagOf(pair, 'selected') === true);
  if (selected) return selected;
  // An earlier pair stays nominated after an ICE restart.
  const nominated = pairs.filter((pair) => flagOf(pair, 'nominated') === true);
  const bytes = (pair: Stat) => (numberOf(pair, 'bytesReceived') ?? 0) + (numberOf(pair, 'bytesSent') ?? 0);
  const most = max(nominated.map(bytes));
  return nominated.find((pair) => bytes(pair) === most);
}
