"""Writes events.bin: the records of an event file, by TensorBoard's own writer.

    python make.py        (tensorboard 2.21)
"""
from pathlib import Path

from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter


def main() -> None:
    events = [
        event_pb2.Event(wall_time=1700000000.25, file_version="brain.Event:2"),
        event_pb2.Event(wall_time=1700000001.5, step=300,
                        session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START)),
        event_pb2.Event(wall_time=1700000002.0, step=0, summary=summary_pb2.Summary(value=[
            summary_pb2.Summary.Value(tag="train/loss", simple_value=2.5)])),
        event_pb2.Event(wall_time=1700000003.0, step=1 << 40, summary=summary_pb2.Summary(value=[
            summary_pb2.Summary.Value(tag="train/loss", simple_value=0.1),
            summary_pb2.Summary.Value(tag="eval/größe " + "x" * 200, simple_value=float("nan")),
            summary_pb2.Summary.Value(tag="lr", simple_value=1e-9)])),
    ]
    with open(Path(__file__).parent / "events.bin", "wb") as file:
        writer = RecordWriter(file)
        for event in events:
            writer.write(event.SerializeToString())


if __name__ == "__main__":
    main()
