import { render } from 'preact';
import { App } from './app';
import { askSession } from './api';
import { startLive } from './live';
import { startRouter } from './router';
import { applyTheme } from './theme';
import 'uplot/dist/uPlot.min.css';
import './style.css';

applyTheme();
startRouter();
startLive();
const ask = (): void => {
  askSession().catch(() => setTimeout(ask, 2000));
};
// A link logs in by itself; asking before that would only be refused.
if (!(location.pathname === '/login' && location.hash.length > 1)) ask();
render(<App />, document.getElementById('app')!);
