// What can be done with an execution: stop it with a reason, run again what failed, start another one like it.
import { useSignal } from '@preact/signals';
import { executionPath, post } from '../../api';
import type { Execution } from '../../api';
import { count, lastPart, plural, visible } from '../../format';
import { go } from '../../router';
import type { History } from '../../run/history';
import { leftBehind } from '../../run/model';
import { Dialog, DialogEnd, Status, tell, useAction } from '../../ui/basic';

const SHOWN = 12;

function Stop({ execution, close }: { execution: Execution; close: () => void }) {
  const reason = useSignal('');
  const action = useAction();
  const stop = async () => {
    await post(executionPath(execution.arn, '/stop'), { reason: reason.value.trim(), error: 'Stopped' });
    tell('stopped');
    close();
  };
  return (
    <Dialog title="Stop this execution" onClose={close}>
      <form onSubmit={(event) => (event.preventDefault(), action.run(stop))}>
        <p>Steps under way are cancelled; what they have changed stays changed. The reason goes into the history.</p>
        <label>
          Reason
          <textarea required minLength={3} rows={3} value={reason.value} onInput={(event) => (reason.value = event.currentTarget.value)} />
        </label>
        <DialogEnd action={action} close={close} verb="Stop it" danger ready={reason.value.trim().length >= 3} />
      </form>
    </Dialog>
  );
}

function Redrive({ execution, history, close }: { execution: Execution; history: History; close: () => void }) {
  const action = useAction();
  const { again, kept } = leftBehind(history.run);
  const redrive = async () => {
    await post(executionPath(execution.arn, '/redrive'));
    tell('it goes on');
    close();
  };
  return (
    <Dialog title="Go on from where it failed" onClose={close}>
      <form onSubmit={(event) => (event.preventDefault(), action.run(redrive))}>
        <p>{again.length === 0 ? 'It did not come to a state: it begins anew.' : `${plural(again.length, 'step')} will be run again, with the same input and a new count of retries, and then what follows:`}</p>
        {again.length > 0 && (
          <ul class="plain">
            {again.slice(0, SHOWN).map((entry) => (
              <li key={entry.id}>
                <b>{visible(entry.state)}</b>{entry.item >= 0 && ` item ${entry.item}`} <Status status={entry.status} /> {entry.error && <span class="error-text">{visible(entry.error)}</span>}
              </li>
            ))}
            {again.length > SHOWN && <li>… and {count(again.length - SHOWN)} more</li>}
          </ul>
        )}
        <p class="dim">{kept > 0 ? `${plural(kept, 'step')} that ended ${kept === 1 ? 'is' : 'are'} kept and not run again. ` : ''}It goes on under the definition it was started with, whatever the playbook says by now.</p>
        <DialogEnd action={action} close={close} verb="Run these again" ready={history.complete.value} />
      </form>
    </Dialog>
  );
}

function Again({ execution, close }: { execution: Execution; close: () => void }) {
  const action = useAction();
  const start = async () => {
    const made = await post<{ arn: string }>('/v1/executions', { playbook: execution.state_machine, input: execution.input });
    tell('started');
    go(`/x/${encodeURI(made.arn)}`);
  };
  return (
    <Dialog title={`Start ${visible(lastPart(execution.state_machine))} again`} onClose={close}>
      <form onSubmit={(event) => (event.preventDefault(), action.run(start))}>
        <p>A new execution of the playbook as it is now, with this one's input.</p>
        <DialogEnd action={action} close={close} verb="Start" />
      </form>
    </Dialog>
  );
}

export function Actions({ execution, history }: { execution: Execution; history: History }) {
  const asking = useSignal<'' | 'stop' | 'redrive' | 'again'>('');
  const close = () => (asking.value = '');
  const { status, redrive_obstacle: obstacle } = execution;
  const ask = (what: typeof asking.value) => () => (asking.value = what);
  return (
    <div class="actions">
      {status === 'RUNNING' && <button type="button" class="danger ghosted" onClick={ask('stop')}>Stop…</button>}
      {status !== 'RUNNING' && status !== 'SUCCEEDED' && (
        <button type="button" disabled={obstacle !== null} title={obstacle ? visible(obstacle) : 'Run again what did not succeed; what did is kept.'} onClick={ask('redrive')}>Redrive…</button>
      )}
      {status !== 'RUNNING' && <button type="button" onClick={ask('again')}>Run again…</button>}
      {asking.value === 'stop' && <Stop execution={execution} close={close} />}
      {asking.value === 'redrive' && <Redrive execution={execution} history={history} close={close} />}
      {asking.value === 'again' && <Again execution={execution} close={close} />}
    </div>
  );
}
