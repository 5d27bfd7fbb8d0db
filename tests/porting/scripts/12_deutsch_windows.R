# Mehrebenenanalyse: Schüler in Schulen
# Größe der Stichprobe prüfen
library(lavaan)

Daten = read.csv("mediation.csv")
n_schüler = nrow(Daten)

# Modell mit drei Gleichungen
Modell =	"m ~ a*x + w;
	y ~ b*m + x	# der Mediator
	ab := a*b"

Ergebnis	=	sem(Modell, data=Daten,
		meanstructure=T, fixed.x=F)   # ohne feste x
summary(Ergebnis, std=T, rsquare=T)
Übersicht = parameterEstimates(Ergebnis)
Maße = fitMeasures(Ergebnis, c("aic","bic","logl"))
