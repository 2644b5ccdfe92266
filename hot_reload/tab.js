() => {
  // Fills the frame that tab.py made; asks once a second, while somebody looks.
  if (window.hotReload) window.hotReload.stop();
  const config = window.gradio_config || {};
  const folder = new URL(config.root || ".", location.href).pathname;
  const api = folder.replace(/\/+$/, "");
  const prefixes = [config.api_prefix || "", "/gradio_api"];
  const session = Math.random().toString(36).slice(2);
  const over = new AbortController();
  let frame = null, mark = null, last = null, asked = 0, polls = false, lost = 0;

  const ask = async (request) => {
    asked = Date.now();
    const about = frame;
    try {
      const body = JSON.stringify({ ...request, mark: about === frame ? mark : null });
      const response = await fetch(`${api}${prefixes[0]}/run/hot_reload`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ data: [body], session_hash: session }),
        signal: over.signal,
      });
      if (response.status === 404) prefixes.reverse();
      if (!response.ok) throw new Error(`the webui answers ${response.status}`);
      const reply = JSON.parse((await response.json()).data[0]);
      if (lost > 2) toast("The webui answers again.");
      lost = 0;
      if (about === frame) take(reply);
      return reply;
    } catch (error) {
      if (!over.signal.aborted && ++lost === 3) toast(`No answer: ${error.message}`, true);
      return {};
    }
  };

  const take = (reply) => {
    mark = reply.mark;
    for (const [name, rows] of Object.entries(reply.lists || {})) {
      fill(frame.querySelector(`[data-list="${name}"]`), rows);
    }
    if (reply.lists) {
      for (const [number, text] of reply.failures) {
        if (last !== null && number > last) toast(`Revision ${number} failed. ${text}`, true);
      }
      last = reply.last;
      frame.dataset.ready = "yes";
      frame.querySelectorAll("details[open]").forEach(read);
    }
    if (reply.said) toast(reply.said);
    if (reply.failed) toast(reply.failed, true);
  };

  // Rows that stay the same are left alone, and with them what is open or has focus.
  const fill = (list, rows) => {
    if (!list) return;
    const before = new Map([...list.children].map((row) => [row.dataset.row, row]));
    let at = list.firstElementChild;
    for (const [key, html] of rows) {
      let row = before.get(key);
      before.delete(key);
      if (!row) {
        row = document.createElement("div");
        row.dataset.row = key;
      }
      if (row.html !== html) write(row, html);
      if (row === at) at = at.nextElementSibling;
      else list.insertBefore(row, at);
    }
    for (const row of before.values()) row.remove();
  };

  const read = async (details) => {
    const body = details.querySelector(".hr-body");
    const reply = await ask({ do: "open", key: details.dataset.open });
    if (reply.body !== undefined && body.html !== reply.body) write(body, reply.body);
    body.dataset.ready = "yes";
  };

  const write = (row, html) => {
    const open = row.querySelector("details[open]");
    const held = row.contains(document.activeElement) ? document.activeElement : null;
    const name = held?.dataset.do;
    const which = held && (name ? `[data-do="${name}"]` : held.tagName);
    row.innerHTML = row.html = html;
    if (open) row.querySelector("details").open = true;
    if (which) row.querySelector(which)?.focus();
  };

  const toast = (text, bad) => {
    let place = document.getElementById("hr-toasts");
    if (!place) {
      place = document.createElement("div");
      place.id = "hr-toasts";
      document.body.append(place);
    }
    const box = document.createElement("div");
    box.className = bad ? "hr-toast hr-bad" : "hr-toast";
    box.setAttribute("role", bad ? "alert" : "status");
    box.innerHTML = '<span></span><button type="button" aria-label="Close">×</button>';
    box.firstChild.textContent = text;
    box.lastChild.onclick = () => box.remove();
    place.append(box);
    while (place.children.length > 4) place.firstChild.remove();
    setTimeout(() => box.remove(), bad ? 12000 : 4000);
  };

  const confirmed = (question) =>
    new Promise((resolve) => {
      const dialog = frame.querySelector("dialog");
      dialog.querySelector("p").textContent = question;
      dialog.returnValue = "no";
      dialog.onclose = () => resolve(dialog.returnValue === "yes");
      dialog.showModal();
    });

  const act = async (element) => {
    const { do: name, key, ask: question } = element.dataset;
    const list = element.closest("[data-list]");
    if (element.dataset.busy) return;
    if (question && !(await confirmed(question))) return element.focus();
    element.dataset.busy = "yes";
    const reply = await ask({ do: name, key });
    delete element.dataset.busy;
    if (document.activeElement === document.body) (list.querySelector("button") || list).focus();
    if (!reply.failed && reply.mark) return;
    const row = element.closest("[data-row]"); // draw it again, as it is
    if (row) row.html = mark = null;
  };

  const listen = (event, what) =>
    document.addEventListener(event, what, { signal: over.signal, capture: true });

  listen("click", (event) => {
    const element = event.target.closest?.("#hot-reload [data-do], #hot-reload [data-close]");
    if (!element || !frame) return;
    if (element.dataset.close) element.closest("dialog").close(element.dataset.close);
    else act(element);
  });
  listen("toggle", (event) => {
    const number = event.target.dataset?.open;
    if (!number || !event.target.open || !frame) return;
    read(event.target);
  });

  const look = async () => {
    const now = document.getElementById("hot-reload");
    if (now !== frame) [frame, mark] = [now, null];
    const seen = frame && !document.hidden && frame.getClientRects().length;
    if (!seen || polls || Date.now() - asked < (lost > 2 ? 3000 : 1000)) return;
    polls = true;
    await ask({});
    polls = false;
  };
  const timer = setInterval(look, 200);
  window.hotReload = {
    stop: () => {
      clearInterval(timer);
      over.abort();
    },
  };
}
