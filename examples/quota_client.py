#!/usr/bin/env python3
"""Makes calls to the CRM, each with Sluice's permission. Needs Python 3.8 and nothing else.

    python3 quota_client.py nats://127.0.0.1:4222 demo.reporting PASSWORD
"""
import json, socket, sys, time, urllib.parse, uuid

def ask(verb, body, wait_s=0):
    """One request to Sluice. Its answer; None where there is none: then the same is to be asked again."""
    inbox, data = f"_INBOX.{user}.{uuid.uuid4().hex}", json.dumps(body)
    hello = json.dumps({"user": user, "pass": password, "verbose": False, "headers": True, "no_responders": True})
    try:
        with socket.create_connection((server.hostname, server.port or 4222), 5) as nats:
            nats.settimeout(5 + wait_s)
            nats.sendall(f"CONNECT {hello}\r\nSUB {inbox} 1\r\n"
                         f"PUB quota.v1.{user}.{verb} {inbox} {len(data)}\r\n{data}\r\n".encode())
            lines = nats.makefile("rb")
            for line in lines:
                if line.startswith(b"MSG "):
                    return json.loads(lines.readline())
                if line.startswith(b"HMSG "):  # the server: nobody answers this at the moment
                    return None
                if line.startswith(b"-ERR"):
                    sys.exit(f"{user} may not do that: {line.decode().strip()}")
    except OSError:
        return None

def insist(verb, body, wait_s=0, tries=6):
    """Asks until it is heard and decided: the same request, with the same requestId, ever more slowly."""
    for attempt in range(tries):
        answer = ask(verb, body(), wait_s)
        if answer is not None and answer["answer"] != "unavailable":
            return answer
        time.sleep(min(0.2 * 2 ** attempt, 5))
    sys.exit("Sluice doesn't answer: no permission, no call.")

def with_permission(kind, most, make_call, wait_s=10):
    """Makes as many of the calls as are granted. What Sluice said, and when each was sent and answered."""
    request = {"requestId": str(uuid.uuid4()), "kind": kind, "calls": {"min": 1, "max": most}, "waitMs": wait_s * 1000}
    asked = time.monotonic()  # the grant's validity counts from here
    grant = insist("acquire", lambda: request, wait_s)
    if grant["answer"] != "granted":  # refused: again in grant["retryInMs"]; rejected: see its code
        return grant, []
    time.sleep(grant["sendInMs"] / 1000)
    used = []
    for _ in range(grant["calls"]):
        sent = time.monotonic()
        if sent - asked >= grant["validForMs"] / 1000:
            break  # too late to send: this one and the rest are returned
        try:
            make_call()
            used.append((sent, time.monotonic()))
        except Exception:
            used.append((sent, None))  # perhaps it arrived: Sluice counts it wherever it could have
    settle_id = str(uuid.uuid4())

    def settle():  # durations, fresh on every try
        ago = lambda at: None if at is None else (time.monotonic() - at) * 1000
        return {"requestId": settle_id, "grantId": grant["grantId"], "returned": grant["calls"] - len(used),
                "used": [{"sentAgoMs": ago(sent), "answeredAgoMs": ago(answered)} for sent, answered in used]}

    return insist("settle", settle), used

if __name__ == "__main__":
    server, user, password = urllib.parse.urlsplit(sys.argv[1]), sys.argv[2], sys.argv[3]
    answer, used = with_permission("tickets.list", 3, lambda: time.sleep(0.05))  # your call to the CRM goes here
    print(json.dumps({"answer": answer, "made": len(used)}))
