// A playbook's text as it may become and as it was: the editor with picture and findings beside it, and what versions changed.
// What is typed is kept in this browser until it is published or given up, so nothing is lost by a reload or a lost session.
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { get, post } from '../api';
import { changesOnly, diffLines } from '../diff';
import type { DiffLine } from '../diff';
import { plural, quoted, visible } from '../format';
import { GraphView } from '../graph/Graph';
import { marksOf, validate } from '../lint';
import type { LintItem } from '../lint';
import { Dialog, DialogEnd, Empty, Failure, tell, useAction, useLoad, When } from '../ui/basic';
import type { Editor } from '../ui/editor';
import { CodeField, jsonProblem } from '../ui/jsoninput';
import type { Playbook } from './playbooks';

const PAUSE_MS = 400;

export function Findings({ items, jump }: { items: LintItem[]; jump: (line: number) => void }) {
  if (items.length === 0) return <Empty title="Lint finds nothing." />;
  return (
    <ul class="list findings">
      {items.map((item, i) => (
        <li key={i} class="static">
          <p><b>{visible(item.code)}</b> {visible(item.message)} <button type="button" class="link" onClick={() => jump(item.line ?? 1)}>line {item.line ?? '?'}</button></p>
          {item.cure && <p class="dim">{visible(item.cure)}</p>}
        </li>
      ))}
    </ul>
  );
}

function Diff({ lines }: { lines: DiffLine[] }) {
  if (lines.every(([mark]) => mark === ' ')) return <p class="dim">Nothing differs.</p>;
  return (
    <pre class="diff" tabIndex={0} aria-label="what changed">
      {changesOnly(lines).map(([mark, text], i) => (
        <span key={i} class={mark === '-' ? 'minus' : mark === '+' ? 'plus' : ''}>{`${mark} ${visible(text)}`}</span>
      ))}
    </pre>
  );
}

function Publish({ playbook, before, text, findings, close, done }: { playbook: Playbook; before: string; text: string; findings: LintItem[]; close: () => void; done: () => void }) {
  const action = useAction();
  const publish = async () => {
    await post(`/v1/playbooks/${encodeURIComponent(playbook.name)}`, { definition: text });
    tell('published');
    done();
  };
  return (
    <Dialog title={`Publish ${visible(playbook.name)}`} onClose={close}>
      <form onSubmit={(event) => (event.preventDefault(), action.run(publish))}>
        <p>New executions run this text; those under way keep theirs.</p>
        {playbook.origin === 'project' && <p class="ask urgent">It comes from the project folder, which a restart reads again: put this text there, too, or it is lost then.</p>}
        {findings.length > 0 && <p>Lint has {plural(findings.length, 'finding')}.</p>}
        <Diff lines={diffLines(before, text)} />
        <DialogEnd action={action} close={close} verb="Publish" />
      </form>
    </Dialog>
  );
}

// The draft kept in this browser.
const keep = (name: string, text: string | null): string | null => {
  const key = `sortie-draft ${name}`;
  try {
    if (text === null) localStorage.removeItem(key);
    else if (text !== '') localStorage.setItem(key, text);
    return localStorage.getItem(key);
  } catch {
    return null; // Private windows may refuse; then it lives as long as this page.
  }
};

export function Draft({ playbook, definition, published }: { playbook: Playbook; definition: string; published: () => void }) {
  const kept = useRef(keep(playbook.name, ''));
  const text = useSignal(kept.current ?? definition);
  const drawn = useSignal(definition); // The last text that could be read as JSON.
  const items = useSignal<LintItem[]>([]);
  const error = useSignal<Error | undefined>(undefined);
  const asking = useSignal(false);
  const selected = useSignal('');
  const editor = useRef<Editor | null>(null);
  const problem = jsonProblem(text.value);
  const changed = text.value !== definition;
  useEffect(() => {
    let gone = false;
    keep(playbook.name, changed ? text.value : null);
    const timer = setTimeout(() => {
      if (problem === '') drawn.value = text.value;
      validate(text.value).then(
        (found) => {
          if (gone) return;
          items.value = found;
          error.value = undefined;
        },
        (failure: Error) => !gone && (error.value = failure),
      );
    }, PAUSE_MS);
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [text.value]);
  const giveUp = () => {
    keep(playbook.name, null);
    text.value = definition;
  };
  return (
    <>
      <div class="bar">
        <span class="dim" role="status">{changed ? 'changed, kept in this browser' : 'as it is published'} · {problem ? 'it cannot be read as JSON' : plural(items.value.length, 'finding')}</span>
        <span class="grow" />
        <button type="button" disabled={!changed} onClick={giveUp}>Give up the changes</button>
        <button type="button" class="primary" disabled={!changed || problem !== ''} onClick={() => (asking.value = true)}>Publish…</button>
      </div>
      <Failure error={error.value} />
      <div class="split draft">
        <div class="view"><CodeField label="Definition" text={text} rows={24} fill ready={(found) => (editor.current = found)} /></div>
        <div class="view">
          {problem && <p class="ask urgent" role="status">The text cannot be read: {visible(problem)} The picture is of what could be read last.</p>}
          <GraphView definition={drawn.value} marks={marksOf(items.value)} selected={selected.value} onSelect={(state) => (selected.value = state)} />
          <div class="scroll"><Findings items={items.value} jump={(line) => editor.current?.show(line)} /></div>
        </div>
      </div>
      <p class="dim foot">The same from a terminal: <code>sortie playbook publish {quoted(`${playbook.name}.asl.json`)}</code></p>
      {asking.value && <Publish playbook={playbook} before={definition} text={text.value} findings={items.value} close={() => (asking.value = false)} done={() => { keep(playbook.name, null); asking.value = false; published(); }} />}
    </>
  );
}

interface Version {
  version: string;
  arn: string;
  description: string;
  created_at: string;
  aliases: { alias: string; weight: number }[];
}

function Changes({ name, version, current }: { name: string; version: string; current: string }) {
  const old = useLoad(`version ${name} ${version}`, (abort) => get<Playbook>(`/v1/playbooks/${encodeURIComponent(name)}?version=${version}`, abort));
  const pretty = (text: string) => (text.includes('\n') ? text : JSON.stringify(JSON.parse(text), null, 2));
  return (
    <>
      <Failure error={old.error} />
      {old.value && <Diff lines={diffLines(pretty(old.value.definition), current)} />}
    </>
  );
}

export function Versions({ name, current }: { name: string; current: string }) {
  const data = useLoad(`versions ${name}`, (abort) => get<{ versions: Version[] }>(`/v1/playbooks/${encodeURIComponent(name)}/versions`, abort));
  const open = useSignal('');
  return (
    <div class="scroll">
      <Failure error={data.error} />
      {data.value?.versions.length === 0 && <Empty title="No version has been published."><p class="dim">A version keeps a definition for good, and aliases lead to versions:</p><pre tabIndex={0}>aws stepfunctions publish-state-machine-version --state-machine-arn ARN</pre></Empty>}
      <ul class="list">
        {data.value?.versions.map((version) => (
          <li key={version.arn} class="static">
            <p>
              <b>version {version.version}</b> <When at={version.created_at} /> {visible(version.description)}{' '}
              {version.aliases.map(({ alias, weight }) => <span key={alias} class="status tone-run">{visible(alias)}{weight < 100 ? ` ${weight} %` : ''}</span>)}{' '}
              <button type="button" class="link" aria-expanded={open.value === version.version} onClick={() => (open.value = open.value === version.version ? '' : version.version)}>what changed since</button>
            </p>
            {open.value === version.version && <Changes name={name} version={version.version} current={current} />}
          </li>
        ))}
      </ul>
    </div>
  );
}
