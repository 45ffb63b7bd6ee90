"""People in a local Discord: what they type, press and choose reaches the bot as events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from simcord import interactions
from simcord.backend import serializers
from simcord.backend.models import Channel, Guild, Interaction, Message, User
from simcord.components import walk_components
from simcord.enums import AppCommandType, ChannelType, InteractionType

if TYPE_CHECKING:
    from tests.doubles.discord_wire import DiscordDouble

File = tuple[str, bytes]


class Person:
    """Somebody in a server; everything they do is what Discord's own client would let them do."""

    def __init__(self, double: DiscordDouble, user: User, guild: Guild) -> None:
        self._env = double
        self._backend = double.backend
        self.user = user
        self.guild = guild
        self.locale = "en-US"

    @property
    def id(self) -> int:
        return int(self.user.id)

    @property
    def mention(self) -> str:
        return f"<@{self.id}>"

    @property
    def direct(self) -> Channel:
        """The channel of direct messages with the bot."""
        return self._backend.get_dm_channel(self.id)

    def say(
        self,
        channel: Channel,
        text: str = "",
        *,
        files: Sequence[File] = (),
        reply_to: Message | None = None,
    ) -> Message:
        """Post a message."""
        reference = None
        if reply_to is not None:
            reference = {"channel_id": str(channel.id), "message_id": str(reply_to.id)}
        return self._backend.create_message(
            channel.id,
            self.id,
            text,
            reference=reference,
            attachments=self._backend.store_attachments(channel.id, files),
        )

    def ask(self, channel: Channel, text: str, **more: Any) -> Message:
        """Post a message that mentions the bot; as `say`."""
        return self.say(channel, f"{self._env.mention} {text}", **more)

    def edit(self, message: Message, text: str) -> None:
        """Change a message of one's own."""
        self._backend.edit_message(message.channel_id, message.id, {"content": text})

    def delete(self, message: Message) -> None:
        """Take a message away."""
        self._backend.delete_message(message.channel_id, message.id)

    def start_thread(
        self, channel: Channel, name: str, message: Message | None = None, *, private: bool = False
    ) -> Channel:
        """Open a thread, on a message where one is given."""
        return self._backend.create_thread(
            channel.id,
            name,
            self.id,
            message_id=message.id if message else None,
            type=ChannelType.PRIVATE_THREAD if private else ChannelType.PUBLIC_THREAD,
        )

    def post(self, forum: Channel, name: str, text: str) -> tuple[Channel, Message]:
        """Open a post in a forum; its first message has the thread's id."""
        thread = self._backend.create_thread(forum.id, name, self.id, broadcast=False)
        self._backend.announce_thread_create(thread)
        message = self._backend.prepare_message(thread.id, self.id, text)
        message.id = thread.id
        return thread, self._backend.commit_message(message)

    # Interactions

    def slash(self, channel: Channel, name: str, **options: Any) -> Interaction:
        """Give a command; files are pairs of name and bytes."""
        root = self._command(channel, name, AppCommandType.CHAT_INPUT)
        built, resolved = interactions.build_options(
            cast(Any, self), name, root, options, channel_id=channel.id
        )
        return self._interact(
            InteractionType.APPLICATION_COMMAND,
            channel,
            self._data(root, options=built) | ({"resolved": resolved} if resolved else {}),
        )

    def type(self, channel: Channel, name: str, option: str, value: str) -> Interaction:
        """Type into an option of a command, to be offered choices."""
        root = self._command(channel, name, AppCommandType.CHAT_INPUT)
        declared = next(each for each in root["options"] if each["name"] == option)
        assert declared.get("autocomplete"), declared
        focused = {"name": option, "type": declared["type"], "value": value, "focused": True}
        return self._interact(
            InteractionType.APPLICATION_COMMAND_AUTOCOMPLETE,
            channel,
            self._data(root, options=[focused]),
        )

    def choose(self, channel: Channel, name: str, target: Message) -> Interaction:
        """Choose an entry of a message's menu."""
        root = self._command(channel, name, AppCommandType.MESSAGE)
        shown = dict(serializers.message_payload(self._backend, target))
        data = self._data(root) | {
            "target_id": str(target.id),
            "resolved": {"messages": {str(target.id): shown}},
        }
        return self._interact(InteractionType.APPLICATION_COMMAND, channel, data)

    def press(self, message: Message, label: str) -> Interaction:
        """Press the button of a message that has this label or emoji."""
        assert message.visible_to(self.id), "this message is somebody else's"
        buttons = [c for c in walk_components(message.components) if c.get("type") == 2]
        found = [
            each
            for each in buttons
            if label in (each.get("label"), (each.get("emoji") or {}).get("name"))
        ]
        assert len(found) == 1, (label, buttons)
        assert not found[0].get("disabled"), label
        return self._component(message, {"custom_id": found[0]["custom_id"], "component_type": 2})

    def pick(self, message: Message, value: str) -> Interaction:
        """Pick a value of the message's menu."""
        (menu,) = [c for c in walk_components(message.components) if c.get("type") == 3]
        assert value in {option["value"] for option in menu["options"]}
        data = {"custom_id": menu["custom_id"], "component_type": 3, "values": [value]}
        return self._component(message, data)

    def submit(self, shown: Interaction, **values: str) -> Interaction:
        """Fill in and send the modal that an interaction has shown."""
        assert shown.modal is not None
        components = []
        for row in shown.modal["components"]:
            field = row.get("component") or row["components"][0]
            filled = {
                "type": 4,
                "custom_id": field["custom_id"],
                "value": values[field["custom_id"]],
            }
            wrapped = {"component": filled} if "component" in row else {"components": [filled]}
            components.append({"type": row["type"], **wrapped})
        data = {"custom_id": shown.modal["custom_id"], "components": components}
        channel = self._backend.channels[shown.channel_id]
        return self._interact(InteractionType.MODAL_SUBMIT, channel, data)

    def shown(self, interaction: Interaction) -> Message | None:
        """Return what an interaction was answered with, if that is there already."""
        if interaction.message_id is None or interaction.loading:
            return None
        return self._backend.messages[interaction.channel_id].get(interaction.message_id)

    def _command(self, channel: Channel, name: str, kind: AppCommandType) -> dict[str, Any]:
        found = self._backend.find_command(name, channel.guild_id, type=kind)
        assert found is not None, (name, list(self._backend.commands.get(None, {})))
        command: dict[str, Any] = found
        return command

    def _data(self, root: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {"id": root["id"], "name": root["name"], "type": root["type"], **more}

    def _component(self, message: Message, data: dict[str, Any]) -> Interaction:
        channel = self._backend.channels[message.channel_id]
        shown = dict(serializers.message_payload(self._backend, message))
        return self._interact(
            InteractionType.MESSAGE_COMPONENT, channel, data, message=shown, source=message.id
        )

    def _interact(
        self,
        kind: InteractionType,
        channel: Channel,
        data: dict[str, Any],
        *,
        message: dict[str, Any] | None = None,
        source: int | None = None,
    ) -> Interaction:
        record, payload = interactions.base_payload(
            self._backend,
            type=int(kind),
            channel_id=channel.id,
            guild_id=channel.guild_id,
            user_id=self.id,
            data=data,
        )
        record.source_message_id = source
        payload["locale"] = self.locale
        if message is not None:
            payload["message"] = message
        self._backend.emit("INTERACTION_CREATE", payload)
        return record
