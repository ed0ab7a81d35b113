"""What TensorBoard and Weights & Biases would read, in the formats that they publish."""

import json
import struct


def tensorboard(run_dir):
    """For each name the values by step, those that TensorBoard hides left out."""
    from tensorboardX.proto.event_pb2 import Event, SessionLog

    found = {}
    for path in sorted((run_dir / "tensorboard").iterdir()):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            event = Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]
            if event.session_log.status == SessionLog.START:
                for steps in found.values():
                    for step in [step for step in steps if step >= event.step]:
                        del steps[step]
            for value in event.summary.value:
                assert event.step not in found.setdefault(value.tag, {}), "a step comes twice"
                found[value.tag][event.step] = value.simple_value
    return found


def wandb(run_dir):
    """For each process the records that it has written: LevelDB's log format, a protocol buffer a record."""
    from wandb.proto.wandb_internal_pb2 import Record

    processes = []
    for path in sorted((run_dir / "wandb").glob("offline-run-*/*.wandb"), key=lambda path: path.stat().st_mtime_ns):
        data, place, pending, records = path.read_bytes(), 7, b"", []
        while place < len(data):
            left = 32768 - place % 32768
            if left < 7:  # blocks are filled up
                place += left
                continue
            _, length, kind = struct.unpack("<IHB", data[place : place + 7])
            pending += data[place + 7 : place + 7 + length]
            place += 7 + length
            if kind in (1, 4):  # whole, or the last part
                records.append(Record.FromString(pending))
                pending = b""
        processes.append(records)
    return processes


def history(records):
    """The values of each step."""
    found = {}
    for record in records:
        if record.HasField("history"):
            items = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
            found[items["_step"]] = {name: value for name, value in items.items() if not name.startswith("_")}
    return found
