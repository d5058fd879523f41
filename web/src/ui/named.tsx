// A page that lists things by name: each a link with a few words beside it.
import type { ComponentChildren } from 'preact';
import { visible } from '../format';
import { Empty, Failure, Twin, When } from './basic';
import type { Loaded } from './basic';

export function NamedList<T extends { name: string }>({ title, path, data, changed, words, empty, hint, twin }: {
  title: string;
  path: string;
  data: Loaded<T[]>;
  changed: (item: T) => string;
  words: (item: T) => ComponentChildren;
  empty: string;
  hint: ComponentChildren;
  twin: string;
}) {
  return (
    <main id="main" tabIndex={-1}>
      <h1>{title}</h1>
      <Failure error={data.error} />
      {data.value?.length === 0 && <Empty title={empty}>{hint}</Empty>}
      <ul class="list big">
        {data.value?.map((item) => (
          <li key={item.name}>
            <a href={`${path}/${encodeURIComponent(item.name)}`}>
              <b>{visible(item.name)}</b>
              {words(item)}
              <span class="dim">changed <When at={changed(item)} relative /></span>
            </a>
          </li>
        ))}
      </ul>
      <Twin cli={twin} curl={`@/v1${path}`} />
    </main>
  );
}
