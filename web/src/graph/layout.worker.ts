// Layout off the page's thread: a definition in, a picture out.
import { layoutScope } from './layout';
import { readDefinition } from './model';

addEventListener('message', (message: MessageEvent<{ id: number; definition: string }>) => {
  const { id, definition } = message.data;
  try {
    const scope = readDefinition(definition);
    postMessage({ id, layout: scope ? layoutScope(scope) : null });
  } catch (error) {
    postMessage({ id, layout: null, error: error instanceof Error ? error.message : String(error) });
  }
});
