"""The physics of the devices: responses, random draws, pairs and their programming."""

from devices.responses import DoubleExponential, DoubleLinear, Response

FIELDS: dict[str, Response] = {
    response.name: response for response in (DoubleLinear(), DoubleExponential())
}
