"""Where the losses come from, by the key that `cite=` names."""

REFERENCES = {
    "legendre1805": (
        "Legendre, A.-M. (1805). Nouvelles méthodes pour la détermination des orbites des comètes."
    ),
    "boscovich1757": (
        "Boscovich, R. J. (1757). De litteraria expeditione per pontificiam ditionem."
    ),
    "huber1964": (
        "Huber, P. J. (1964). Robust estimation of a location parameter. Annals of "
        "Mathematical Statistics 35(1), 73–101."
    ),
    "girshick2015": "Girshick, R. (2015). Fast R-CNN. ICCV.",
    "charbonnier1997": (
        "Charbonnier, P., Blanc-Féraud, L., Aubert, G., Barlaud, M. (1997). Deterministic "
        "edge-preserving regularization in computed imaging. IEEE Transactions on Image "
        "Processing 6(2), 298–311."
    ),
    "green1990": (
        "Green, P. J. (1990). Bayesian reconstructions from emission tomography data using a "
        "modified EM algorithm. IEEE Transactions on Medical Imaging 9(1), 84–93."
    ),
    "fair1974": (
        "Fair, R. C. (1974). On the robust estimation of econometric models. Annals of "
        "Economic and Social Measurement 3(4), 667–677."
    ),
    "black1996": (
        "Black, M. J., Anandan, P. (1996). The robust estimation of multiple motions. "
        "Computer Vision and Image Understanding 63(1), 75–104."
    ),
    "barron2019": ("Barron, J. T. (2019). A general and adaptive robust loss function. CVPR."),
    "money1982": (
        "Money, A. H., Affleck-Graves, J. F., Hart, M. L., Barr, G. D. I. (1982). The linear "
        "regression model: Lp norm estimation and the choice of p. Communications in "
        "Statistics 11(1), 89–109."
    ),
    "koenker1978": (
        "Koenker, R., Bassett, G. (1978). Regression quantiles. Econometrica 46(1), 33–50."
    ),
    "newey1987": (
        "Newey, W. K., Powell, J. L. (1987). Asymmetric least squares estimation and testing. "
        "Econometrica 55(4), 819–847."
    ),
    "vapnik1995": ("Vapnik, V. N. (1995). The Nature of Statistical Learning Theory. Springer."),
    "varian1975": (
        "Varian, H. R. (1975). A Bayesian approach to real estate assessment. In Studies in "
        "Bayesian Econometrics and Statistics, 195–208."
    ),
    "makridakis1993": (
        "Makridakis, S. (1993). Accuracy measures: theoretical and practical concerns. "
        "International Journal of Forecasting 9(4), 527–529."
    ),
    "chai2014": (
        "Chai, T., Draxler, R. R. (2014). Root mean square error (RMSE) or mean absolute "
        "error (MAE)? Geoscientific Model Development 7, 1247–1250."
    ),
    "nix1994": (
        "Nix, D. A., Weigend, A. S. (1994). Estimating the mean and variance of the target "
        "probability distribution. ICNN."
    ),
    "nelder1972": (
        "Nelder, J. A., Wedderburn, R. W. M. (1972). Generalized linear models. Journal of "
        "the Royal Statistical Society A 135(3), 370–384."
    ),
    "jorgensen1987": (
        "Jørgensen, B. (1987). Exponential dispersion models. Journal of the Royal "
        "Statistical Society B 49(2), 127–162."
    ),
    "lawless1987": (
        "Lawless, J. F. (1987). Negative binomial and mixed Poisson regression. Canadian "
        "Journal of Statistics 15(3), 209–225."
    ),
    "tweedie1957": (
        "Tweedie, M. C. K. (1957). Statistical properties of inverse Gaussian distributions. "
        "Annals of Mathematical Statistics 28(2), 362–377."
    ),
    "good1952": (
        "Good, I. J. (1952). Rational decisions. Journal of the Royal Statistical Society B "
        "14(1), 107–114."
    ),
    "friedman2000": (
        "Friedman, J., Hastie, T., Tibshirani, R. (2000). Additive logistic regression: a "
        "statistical view of boosting. Annals of Statistics 28(2), 337–407."
    ),
    "cortes1995": (
        "Cortes, C., Vapnik, V. (1995). Support-vector networks. Machine Learning 20, 273–297."
    ),
    "lee2001": (
        "Lee, Y.-J., Mangasarian, O. L. (2001). SSVM: a smooth support vector machine for "
        "classification. Computational Optimization and Applications 20, 5–22."
    ),
    "rennie2005": (
        "Rennie, J. D. M., Srebro, N. (2005). Loss functions for preference levels: "
        "regression with discrete ordered labels. IJCAI workshop on advances in preference "
        "handling."
    ),
    "zhang2004": (
        "Zhang, T. (2004). Solving large scale linear prediction problems using stochastic "
        "gradient descent algorithms. ICML."
    ),
    "rosenblatt1958": (
        "Rosenblatt, F. (1958). The perceptron: a probabilistic model for information storage "
        "and organization in the brain. Psychological Review 65(6), 386–408."
    ),
    "freund1997": (
        "Freund, Y., Schapire, R. E. (1997). A decision-theoretic generalization of on-line "
        "learning and an application to boosting. Journal of Computer and System Sciences "
        "55(1), 119–139."
    ),
    "devroye1996": (
        "Devroye, L., Györfi, L., Lugosi, G. (1996). A Probabilistic Theory of Pattern "
        "Recognition. Springer."
    ),
    "lin2017": (
        "Lin, T.-Y., Goyal, P., Girshick, R., He, K., Dollár, P. (2017). Focal loss for dense "
        "object detection. ICCV."
    ),
    "benbaruch2021": (
        "Ben-Baruch, E., Ridnik, T., Zamir, N., Noy, A., Friedman, I., Protter, M., "
        "Zelnik-Manor, L. (2021). Asymmetric loss for multi-label classification. ICCV."
    ),
}
