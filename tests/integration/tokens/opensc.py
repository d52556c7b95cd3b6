"""OpenSC with a PIV card in a reader of pcscd. A card makes no keys and takes none through PKCS#11:
as a token of a site it can only be refused; custody K3 is what it is for."""

from tokens import card, zoo


class OpenSc(zoo.Module):
    name = "opensc"
    module = card.MODULE
    label = "Card key 9a"  # OpenSC takes the name from the certificate
    pin = card.Card.pin
    makes_keys = calls_backend = False

    def __init__(self):
        super().__init__()
        self.reader = card.Reader()
        self.card = None

    @property
    def environment(self):
        return self.reader.environment

    def begin(self):
        self.reader.start()
        self.card = card.Card(self.reader).insert()
        self.backend = self.card.process.pid

    def end(self):
        self.card.stop()
        self.reader.stop()

    def kill_backend(self):
        self.reader.kill()

    def restart_backend(self):
        self.reader.start()
        self.card.insert()

    def settle(self):
        """pcscd may see no card any more once a card stood still and was pulled."""
        self.kill_backend()
        self.restart_backend()

    def remove(self):
        self.card.pull()

    def put_back(self):
        self.card.insert()
