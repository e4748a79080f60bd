"""Follow a clinic's feed until one case's first event: python feed.py DOOR KEY CASE. A real reader goes on for ever."""

import json
import sys
from urllib.request import Request, urlopen

door, key, case = sys.argv[1:4]
after = "0.0"  # the beginning; a real reader keeps the last `next` and goes on from there
for _ in range(100):
    url = f"{door}/v1/clinic/feed?after={after}&wait=10"  # held back for up to 10 s while there is nothing new
    request = Request(url, headers={"authorization": f"Bearer {key}"})  # noqa: S310 - the door's own address
    page = json.load(urlopen(request, timeout=30))  # noqa: S310
    mine = [item["event"] for item in page["items"] if item["event"]["subject"] == case]
    for event in mine:
        print(event["type"], event["time"])
    if mine:
        break
    after = page["next"]
