// Starts the page.

import { listen } from './actions.js';
import { startCalls } from './calls_view.js';
import { startHeader } from './header_view.js';
import { startLayout } from './layout.js';
import { startLive } from './live.js';
import { startPhones } from './phone.js';
import { startPhoneViews } from './phone_view.js';
import { startQuality } from './quality_view.js';
import { showLastRequest, startRequests } from './requests_view.js';
import { startShortcuts } from './shortcuts.js';
import { startTheme } from './theme.js';
import { invalidate } from './store.js';
import { startUsers } from './users_view.js';
import { startWebhooks } from './webhooks_view.js';

startTheme();
startLayout();
startHeader();
startUsers();
startPhoneViews(showLastRequest);
startPhones();
startRequests();
startCalls();
startWebhooks();
startQuality();
startShortcuts();
listen();
startLive();
invalidate();
