import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { describe, it } from "node:test";
import { createAdminHttp } from "../../src/telemetry/admin-http.ts";
import type { Health } from "../../src/telemetry/probes.ts";

const fine: Health = { ok: true, detail: "ok" };

async function open(ready: () => Health = () => fine) {
  let scrapes = 0;
  const asked: string[] = [];
  const admin = createAdminHttp({
    live: () => fine,
    ready,
    started: () => fine,
    metrics: {
      text: async () => {
        scrapes++;
        return "millrace_up 1\n";
      },
      contentType: "text/plain; version=0.0.4",
    },
    actions: new Map([["/act", () => `${asked.push("act")}\n`]]),
    calls: new Map([["/call", async () => ({ status: 200, text: `${asked.push("call")}\n` })]]),
  });
  const address = await admin.listen("127.0.0.1:0");
  return { admin, address, url: `http://${address}`, scrapes: () => scrapes, asked };
}

describe("Admin HTTP", () => {
  it("answers probes with 200 or 503 and one line", async () => {
    let ready = fine;
    const { admin, url } = await open(() => ready);
    for (const path of ["/livez", "/readyz", "/startz"]) {
      const answer = await fetch(url + path);
      assert.equal(answer.status, 200);
      assert.equal(await answer.text(), "ok\n");
    }
    ready = { ok: false, detail: "no controller" };
    const answer = await fetch(`${url}/readyz?verbose`);
    assert.equal(answer.status, 503);
    assert.equal(await answer.text(), "no controller\n");
    await admin.close();
  });

  it("serves the metrics with their content type", async () => {
    const { admin, url } = await open();
    const answer = await fetch(`${url}/metrics`);
    assert.equal(answer.headers.get("content-type"), "text/plain; version=0.0.4");
    assert.equal(await answer.text(), "millrace_up 1\n");
    await admin.close();
  });

  it("serves nothing else (case 22)", async () => {
    const { admin, url } = await open();
    for (const path of ["/", "/env", "/debug/pprof", "/livez/", "//livez", "/%6civez", "/metrics/../env"])
      assert.equal((await fetch(url + path)).status, 404, path);
    assert.equal((await fetch(`${url}/livez`, { method: "POST", body: "x" })).status, 405);
    assert.equal(await (await fetch(`${url}/livez`, { method: "HEAD" })).text(), "");
    await admin.close();
  });

  it("begins nothing that a web page asks for", async (test) => {
    const { admin, url, asked } = await open();
    test.after(() => admin.close());
    const post = async (path: string, more: Record<string, string>): Promise<number> => {
      const headers = { "content-type": "application/json", ...more };
      return (await fetch(url + path, { method: "POST", body: "{}", headers })).status;
    };
    for (const origin of ["http://evil.example", "null", url])
      for (const path of ["/act", "/call", "/livez"]) assert.equal(await post(path, { origin }), 403, `${path} from ${origin}`);
    assert.deepEqual(asked, []);
    assert.deepEqual([await post("/act", {}), await post("/call", {})], [202, 200]);
    assert.deepEqual(asked, ["act", "call"]);
  });

  it("outlives garbage and oversized headers", async () => {
    const { admin, address, url } = await open();
    for (const bytes of [
      "\u0000\u0001garbage\r\n\r\n",
      `GET /livez HTTP/1.1\r\nX: ${"a".repeat(20_000)}\r\n\r\n`,
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ]) {
      const socket = connect(Number(address.split(":")[1]), "127.0.0.1");
      socket.on("error", () => {});
      socket.resume();
      socket.write(bytes);
      await once(socket, "close");
    }
    assert.equal((await fetch(`${url}/livez`)).status, 200);
    await admin.close();
  });

  it("says which address is in use", async () => {
    const { admin, address } = await open();
    const second = await open();
    await second.admin.close();
    const third = createAdminHttp({
      live: () => fine,
      ready: () => fine,
      started: () => fine,
      metrics: { text: async () => "", contentType: "" },
    });
    await assert.rejects(third.listen(address), { name: "ListenError", code: "EADDRINUSE", message: new RegExp(address) });
    await admin.close();
  });
});
